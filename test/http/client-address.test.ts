import { describe, expect, test } from "bun:test";
import { InvalidInput } from "../../src/domain/errors.ts";
import { clientAddress } from "../../src/http/client-address.ts";

/** The address that counts for a request from `peer` with these headers, behind these trusted proxies. */
function address(peer: string | null, headers: Record<string, string> = {}, trusted: string[] = []): string {
  const server = { requestIP: () => (peer === null ? null : { address: peer }) };
  return clientAddress(trusted)(new Request("http://localhost/", { headers }), server);
}

const xff = (value: string) => ({ "x-forwarded-for": value });
const PROXY = "10.0.0.1";
const TRUSTED = ["10.0.0.0/8", "fd00::/8"];

describe("the client's address", () => {
  test("is the peer's, whatever the headers say, unless the peer is a trusted proxy", () => {
    expect(address("198.51.100.7", xff("203.0.113.1"), TRUSTED)).toBe("198.51.100.7");
    expect(address(PROXY, xff("203.0.113.1"))).toBe(PROXY);
    expect(address(PROXY, xff("203.0.113.1"), TRUSTED)).toBe("203.0.113.1");
    expect(address(PROXY, {}, TRUSTED)).toBe(PROXY);
  });

  test("is the rightmost hop that is not trusted: what stands further left could have been sent by anybody", () => {
    expect(address(PROXY, xff("1.1.1.1, 203.0.113.1, 10.2.3.4"), TRUSTED)).toBe("203.0.113.1");
    expect(address(PROXY, xff("10.9.9.9, 10.2.3.4"), TRUSTED)).toBe("10.9.9.9");
  });

  test.each(["unknown", "", "_hidden", "203.0.113.1 evil", "127.1", "0x7f000001", "300.1.1.1"])(
    "behind the hop %j it is the proxy",
    (hop) => {
      expect(address(PROXY, xff(`203.0.113.1, ${hop}, 10.2.3.4`), TRUSTED)).toBe("10.2.3.4");
    },
  );

  test("is read from Forwarded as well", () => {
    const forwarded = (value: string) => address(PROXY, { forwarded: value }, TRUSTED);
    expect(forwarded("for=203.0.113.1")).toBe("203.0.113.1");
    expect(forwarded('for=1.1.1.1, For="203.0.113.1:4711";proto=https;by=10.0.0.1')).toBe("203.0.113.1");
    expect(forwarded('proto=https;for="[2001:db8:1:2:3::4]:80"')).toBe("2001:db8:1:2::/64");
    expect(forwarded("for=_secret")).toBe(PROXY);
    expect(forwarded("proto=https")).toBe(PROXY);
  });

  test("is the proxy's where X-Forwarded-For and Forwarded differ: one of them came from the client", () => {
    expect(address(PROXY, { ...xff("203.0.113.1"), forwarded: "for=198.51.100.9" }, TRUSTED)).toBe(PROXY);
    expect(address(PROXY, { ...xff("203.0.113.1"), forwarded: "for=203.0.113.1" }, TRUSTED)).toBe("203.0.113.1");
  });

  test("is a whole /64 with IPv6, and an IPv4 address where one is mapped", () => {
    expect(address("2001:db8:1:2:3:4:5:6")).toBe(address("2001:db8:1:2:ffff::1"));
    expect(address("2001:db8:1:2:3:4:5:6")).not.toBe(address("2001:db8:1:3:3:4:5:6"));
    expect(address("::ffff:203.0.113.1")).toBe("203.0.113.1");
    expect(address("fe80::1%eth0")).toBe("fe80::/64");
    expect(address("::ffff:10.0.0.1", xff("[2001:db8:1:2::9]:443"), TRUSTED)).toBe("2001:db8:1:2::/64");
    expect(address("fd12::1", xff("203.0.113.1:9999"), TRUSTED)).toBe("203.0.113.1");
    expect(address("::ffff:10.0.0.1", xff("203.0.113.1"), ["::ffff:10.0.0.1"])).toBe("203.0.113.1");
  });

  test("is unknown where there is none", () => {
    expect(address(null)).toBe("unknown");
    expect(clientAddress()(new Request("http://localhost/"), null)).toBe("unknown");
  });

  test.each(["", "ten", "10.0.0.0/33", "10.0.0.0/8/8", "10.0.0.0/", "10.0.0.0/-1", "fd00::/129", "10/8"])(
    "%j is no range",
    (range) => {
      expect(() => clientAddress([range])).toThrow(InvalidInput);
    },
  );

  test.each([["10.0.0.0/8"], [" 10.0.0.1 "], ["0.0.0.0/0"], ["::/0"], ["fd00::/8"]])("%j is one", (range) => {
    expect(() => clientAddress([range])).not.toThrow();
  });
});
