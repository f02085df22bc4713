/** Which addresses a task may connect to. */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { FetchError } from "./fetch-error.ts";

export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Resolves a host name to all its A and AAAA addresses; rejects or yields none when there are none. */
export type Resolve = (host: string) => Promise<readonly Address[]>;

/** The system's resolver, /etc/hosts included: what the machine would connect to is what is checked. */
export const systemResolve: Resolve = async (host) =>
  (await lookup(host, { all: true })).map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));

/** The only IPv6 block that IANA hands out as global unicast; ipaddr.js calls every unlisted address unicast, ::a.b.c.d too. */
const GLOBAL_UNICAST: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse("2000::"), 3];

/**
 * Whether `text` is an address on the public internet. Everything that can stand for another address (v4-mapped,
 * NAT64, 6to4, Teredo, ISATAP) is not, whatever it stands for.
 */
export function isPublicAddress(text: string): boolean {
  if (isIP(text) === 0 || text.includes("%")) return false;
  const address = ipaddr.parse(text);
  if (address.range() !== "unicast") return false;
  if (address.kind() === "ipv4") return true;
  const v6 = address as ipaddr.IPv6;
  return v6.match(GLOBAL_UNICAST) && !isIsatap(v6);
}

/** ISATAP: an interface id of 0[2]00:5efe and an IPv4 address, under any prefix (RFC 5214). */
function isIsatap(address: ipaddr.IPv6): boolean {
  return ((address.parts[4] ?? 0) & ~0x0200) === 0 && address.parts[5] === 0x5efe;
}

/**
 * Which addresses may be connected to: false, public ones only; true, all; a function, those it is true for.
 */
export type AllowPrivate = boolean | ((address: string) => boolean);

/**
 * The addresses of a URL's host that may be connected to, at least one.
 *
 * Of a name with public and other addresses only the public ones are returned instead of refusing the name: DNS64
 * adds a NAT64 address to every name, and only a returned address is ever connected to.
 *
 * @param hostname as `URL.hostname` gives it, so every spelling of an IPv4 address is already a dotted one
 * @throws FetchError `refused` or `unresolved`
 */
export async function checkedAddresses(
  hostname: string,
  allowPrivate: AllowPrivate,
  resolve: Resolve,
): Promise<readonly Address[]> {
  const host = bareHost(hostname);
  const family = isIP(host);
  if (allowPrivate === false && family === 0 && /(^|\.)localhost\.?$/i.test(host)) throw refused(hostname);
  const found = family === 0 ? await resolved(host, resolve) : [{ address: host, family: family as 4 | 6 }];
  const usable = found.filter(({ address }) => isAllowed(address, allowPrivate));
  if (usable.length === 0) throw refused(hostname);
  return usable;
}

function isAllowed(address: string, allowPrivate: AllowPrivate): boolean {
  if (typeof allowPrivate === "function") return isIP(address) !== 0 && allowPrivate(address);
  return allowPrivate ? isIP(address) !== 0 : isPublicAddress(address);
}

/** `[::1]` as `::1`; other hosts as they are. */
export function bareHost(hostname: string): string {
  return hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
}

async function resolved(host: string, resolve: Resolve): Promise<readonly Address[]> {
  let found: readonly Address[];
  try {
    found = await resolve(host);
  } catch (cause) {
    throw new FetchError("unresolved", `the host ${host} was not found`, { cause });
  }
  if (found.length === 0) throw new FetchError("unresolved", `the host ${host} has no address`);
  return found;
}

function refused(hostname: string): FetchError {
  return new FetchError("refused", `the host ${hostname} is refused: it is not on the public internet`);
}
