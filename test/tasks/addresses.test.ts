import { describe, expect, test } from "bun:test";
import { type Address, checkedAddresses, isPublicAddress } from "../../src/tasks/net/addresses.ts";
import { FetchError } from "../../src/tasks/net/fetch-error.ts";
import { guardedFetch } from "../../src/tasks/net/guarded-fetch.ts";
import { context, rejection, site } from "./harness.ts";

const noDns = async (): Promise<Address[]> => {
  throw new Error("there must be no look-up");
};

describe("isPublicAddress", () => {
  test.each([
    ...[
      "8.8.8.8",
      "1.1.1.1",
      "172.15.255.255",
      "172.32.0.1",
      "100.63.255.255",
      "100.128.0.1",
      "11.0.0.1",
      "169.253.1.1",
      "223.255.255.255",
    ],
    ...["2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450:4001:81b::200e"],
  ])("%s is public", (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  test.each([
    ...[
      "0.0.0.0",
      "0.1.2.3",
      "10.0.0.1",
      "100.64.0.1",
      "127.0.0.1",
      "127.255.255.254",
      "169.254.169.254",
      "172.16.0.1",
      "172.31.255.255",
    ],
    ...[
      "192.0.0.8",
      "192.0.2.1",
      "192.88.99.1",
      "192.168.1.1",
      "198.18.0.1",
      "198.51.100.1",
      "203.0.113.1",
      "224.0.0.1",
      "239.1.1.1",
    ],
    ...["240.0.0.1", "255.255.255.255"],
    ...["::", "::1", "fe80::1", "febf::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "100::1", "2001:db8::1", "3fff::1"],
    // What stands for another address: v4-compatible, mapped, translated, NAT64, 6to4, Teredo, ISATAP.
    ...[
      "::7f00:1",
      "::ffff:127.0.0.1",
      "::ffff:8.8.8.8",
      "::ffff:0:127.0.0.1",
      "64:ff9b::7f00:1",
      "64:ff9b:1::a00:1",
      "2002:7f00:1::1",
    ],
    ...["2001:0:7f00:1::1", "2600:1::5efe:7f00:1", "2600:1::200:5efe:a00:1", "4000::1", "fe80::1%eth0"],
    ...["", "localhost", "127.1", "0x7f000001", "8.8.8.8.8"],
  ])("%s is not", (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
});

describe("the guard", () => {
  test.each([
    "http://127.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://127.0.0.1./",
    "http://①②⑦.0.0.1/",
    "http://127。0。0。1/",
    "http://0/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://[fd00:ec2::254]/",
    "http://10.0.0.1:6379/",
    "https://192.168.0.1/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://a.localhost/",
    "http:\\\\127.0.0.1\\",
    "http:/127.0.0.1/",
  ])("refuses %s without a look-up", async (url) => {
    const error = await rejection(guardedFetch(url, {}, { resolve: noDns }));
    expect(error).toBeInstanceOf(FetchError);
    expect(error).toMatchObject({ code: "fetch_failed", reason: "refused", transient: false });
  });

  test.each([
    "http://example.com@127.0.0.1/",
    "http://user:secret@example.com/",
    "http://127.0.0.1:80@example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "data:text/html,hello",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "/etc/passwd",
    "",
  ])("takes %p for no URL to fetch", async (url) => {
    const error = await rejection(guardedFetch(url, {}, { resolve: noDns }));
    expect(error).toMatchObject({ code: "fetch_failed", reason: "bad_url" });
    expect(String(error)).not.toContain("secret");
  });

  test("refuses a name all of whose addresses are private, and does not tell them", async () => {
    const resolve = async (): Promise<Address[]> => [
      { address: "10.1.2.3", family: 4 },
      { address: "fd00::1", family: 6 },
    ];
    const error = await rejection(guardedFetch("http://intranet.example/", {}, { resolve }));
    expect(error).toMatchObject({ reason: "refused" });
    expect(String(error)).not.toMatch(/10\.1\.2\.3|fd00/);
  });

  test("keeps only the public addresses of a name", async () => {
    const resolve = async (): Promise<Address[]> => [
      { address: "127.0.0.1", family: 4 },
      { address: "8.8.8.8", family: 4 },
      { address: "64:ff9b::808:808", family: 6 },
    ];
    expect(await checkedAddresses("mixed.example", false, resolve)).toEqual([{ address: "8.8.8.8", family: 4 }]);
  });

  test("says so when a name has no address", async () => {
    expect(await rejection(checkedAddresses("none.example", false, async () => []))).toMatchObject({
      reason: "unresolved",
      transient: true,
    });
    expect(await rejection(checkedAddresses("none.example", false, noDns))).toMatchObject({ reason: "unresolved" });
    expect(await rejection(guardedFetch("http://no-such-host.invalid/"))).toMatchObject({ reason: "unresolved" });
  });

  test("resolves by the system, and loopback is open to those who allow it", async () => {
    await using server = site({ "/": "<p>hello" });
    const url = server.origin.replace("127.0.0.1", "localhost");
    expect((await context().fetch(url)).status).toBe(200);
    expect(await rejection(guardedFetch(url))).toMatchObject({ reason: "refused" });
  });
});
