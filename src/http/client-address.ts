import ipaddr from "ipaddr.js";
import { InvalidInput } from "../domain/errors.ts";

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = [Address, number];

/** The part of Bun's server that is asked for the other end of the connection. */
export interface PeerSource {
  requestIP(request: Request): { readonly address: string } | null;
}

/** Whose request it is, as limits count: an IPv4 address, or the /64 of an IPv6 one, which one customer has to himself. */
export type ClientAddress = (request: Request, server: PeerSource | null) => string;

const UNKNOWN = "unknown";

/**
 * Makes the function that tells clients apart. What proxies say is believed only from proxies that are trusted, hop by
 * hop from the right; everything further left could have been sent by anybody.
 *
 * @param trusted CIDRs or addresses of proxies (--trust-proxy)
 * @throws InvalidInput `invalid_trust_proxy` naming what is no CIDR
 */
export function clientAddress(trusted: readonly string[] = []): ClientAddress {
  const ranges = trusted.map(parseRange);
  const isTrusted = (address: Address) => ranges.some((range) => contains(range, address));

  return (request, server) => {
    const peer = parse(server?.requestIP(request)?.address ?? "");
    if (!peer) return UNKNOWN;
    return group(isTrusted(peer) ? behind(peer, claimedHops(request.headers), isTrusted) : peer);
  };
}

/** The rightmost hop that is not trusted; where a hop is unreadable, the one that reported it. */
function behind(peer: Address, hops: readonly string[], isTrusted: (address: Address) => boolean): Address {
  let last = peer;
  for (const hop of hops.toReversed()) {
    const address = parse(hop);
    if (!address) return last;
    last = address;
    if (!isTrusted(address)) return last;
  }
  return last;
}

/**
 * The chain as X-Forwarded-For or Forwarded tells it, the nearest hop last. A proxy writes one of the two and hands the
 * other through as the client sent it: where both are there and differ, neither is believed.
 */
function claimedHops(headers: Headers): string[] {
  const legacy = headers.get("x-forwarded-for");
  const standard = headers.get("forwarded");
  const legacyHops = legacy === null ? undefined : legacy.split(",").map((hop) => withoutPort(hop.trim()));
  const standardHops = standard === null ? undefined : standard.split(",").map(forwardedFor);
  if (legacyHops && standardHops && legacyHops.join() !== standardHops.join()) return [];
  return legacyHops ?? standardHops ?? [];
}

/** The `for` of one element of Forwarded, RFC 7239. */
function forwardedFor(element: string): string {
  const match = /(?:^|;)\s*for\s*=\s*(?:"([^"]*)"|([^;\s]*))/i.exec(element);
  return withoutPort(match?.[1] ?? match?.[2] ?? "");
}

/** 192.0.2.1:80 and [2001:db8::1]:80; a bare IPv6 address has more than one colon. */
function withoutPort(hop: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(hop);
  if (bracketed) return bracketed[1] ?? "";
  return /^[^:]+:\d+$/.test(hop) ? hop.slice(0, hop.indexOf(":")) : hop;
}

function parse(text: string): Address | undefined {
  const plain = text.replace(/%.*$/, "");
  // The library also reads 127.1, 0x7f000001 and the like, which no proxy writes.
  if (!ipaddr.IPv6.isValid(plain) && !ipaddr.IPv4.isValidFourPartDecimal(plain)) return undefined;
  return ipaddr.process(plain);
}

function parseRange(text: string): Range {
  const [host = "", bits, ...rest] = text.trim().split("/");
  const address = parse(host);
  const width = address?.kind() === "ipv4" ? 32 : 128;
  const size = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
  if (!address || rest.length > 0 || !(size <= width)) {
    throw new InvalidInput("invalid_trust_proxy", `"${text}" is no address range: write for example 10.0.0.0/8 or fd00::/8`);
  }
  return [address, size];
}

function contains([base, bits]: Range, address: Address): boolean {
  return base.kind() === address.kind() && address.match(base as ipaddr.IPv4 & ipaddr.IPv6, bits);
}

function group(address: Address): string {
  if (address.kind() === "ipv4") return address.toString();
  const network = address.toByteArray().fill(0, 8);
  return `${ipaddr.fromByteArray(network).toString()}/64`;
}
