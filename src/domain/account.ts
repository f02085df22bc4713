import { COMMON_PASSWORDS } from "./common-passwords.ts";
import { InvalidInput } from "./errors.ts";

export const ROLES = ["user", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** A person or program that owns tasks. */
export interface Account {
  /** Integer key inside this data directory; never shown. */
  readonly n: number;
  /** UUIDv7. */
  readonly id: string;
  /** As normalised by `normalizeEmail`. */
  readonly email: string;
  readonly role: Role;
  /** Milliseconds since 1970 UTC. */
  readonly createdAt: number;
}

/** Who a request speaks for, and until when. */
export interface Identity {
  /** The account's integer key; never shown. */
  readonly accountKey: number;
  readonly accountId: string;
  readonly role: Role;
  readonly sessionId: string;
  /** When the token ends, in milliseconds since 1970 UTC; a renewed token gives a later one. */
  readonly expiresAt: number;
}

/** A session counts until it is ended or its time is up. */
export function isLive(session: { readonly expiresAt: number; readonly revokedAt: number | null }, now: number): boolean {
  return session.revokedAt === null && session.expiresAt > now;
}

/** Octets of a whole address, RFC 5321 4.5.3.1.3 (as corrected), and of the part before the @. */
const EMAIL_MAX_BYTES = 254;
const LOCAL_MAX_BYTES = 64;
/** No form of a valid address is longer; spares the normalisation of megabytes. */
const EMAIL_MAX_RAW = 1_024;

/**
 * A dot-atom by RFC 6531: beyond ASCII all is allowed but what cannot be seen, for two addresses that look
 * the same must not be two accounts.
 */
const ATOM = String.raw`(?:[a-z0-9!#$%&'*+/=?^_\x60{|}~-]|[^\p{ASCII}\p{C}\p{Z}\p{Default_Ignorable_Code_Point}])+`;
const LOCAL = new RegExp(`^${ATOM}(?:\\.${ATOM})*$`, "u");
/** What a URL parser takes for the end of a host, decodes or drops in silence. */
const NOT_IN_DOMAIN = /[\p{Z}\p{Cc}\p{Cs}\p{Co}\p{Cn}\s%:/?#@\\[\]]/u;
const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
/** At least two labels, the last not a number (that would be an IP address). */
const DOMAIN = new RegExp(`^(?=.{1,253}$)(?:${LABEL}\\.)+(?!\\d+$)${LABEL}$`);

const PASSWORD_MIN = 8;
const PASSWORD_MAX = 1_024;

/**
 * The one form of an e-mail address that accounts are known by: trimmed, NFC (RFC 6532 advises against NFKC: it
 * merges different mailboxes), lower case, an international domain in its ASCII form. Applying it again changes nothing.
 *
 * @throws InvalidInput `invalid_email` with the path `/email`
 */
export function normalizeEmail(text: string): string {
  const trimmed = text.trim();
  if (trimmed.length > EMAIL_MAX_RAW) throw invalidEmail(`must not be longer than ${EMAIL_MAX_BYTES} bytes`);
  const at = trimmed.lastIndexOf("@");
  if (at < 1) throw invalidEmail("must have the form name@domain");
  const local = trimmed.slice(0, at).normalize("NFC").toLowerCase().normalize("NFC");
  const domain = asciiDomain(trimmed.slice(at + 1));
  if (domain === undefined) throw invalidEmail("has no valid domain after the @");
  if (!LOCAL.test(local)) throw invalidEmail("has characters before the @ that are not allowed there");
  const email = `${local}@${domain}`;
  if (byteLength(local) > LOCAL_MAX_BYTES || byteLength(email) > EMAIL_MAX_BYTES) {
    throw invalidEmail(`must not be longer than ${EMAIL_MAX_BYTES} bytes, ${LOCAL_MAX_BYTES} of them before the @`);
  }
  return email;
}

/**
 * The form in which a password is hashed and compared: RFC 8265 OpaqueString, that is NFC with every kind of space
 * as U+0020, so that the same keys on another keyboard or system give the same password. Case counts.
 */
export function preparePassword(password: string): string {
  return password.replace(/\p{Zs}/gu, " ").normalize("NFC");
}

/** @returns whether a prepared password can be any account's; others need not be hashed */
export function isPossiblePassword(prepared: string): boolean {
  const length = characters(prepared);
  return length >= PASSWORD_MIN && length <= PASSWORD_MAX;
}

/**
 * The rules for a new password: 8 to 1,024 characters, none of them invisible controls, and nothing that is guessed first.
 *
 * @param email the account's, normalised
 * @param path JSON Pointer of the password in the caller's input
 * @returns the password as `preparePassword` gives it
 * @throws InvalidInput `weak_password`
 */
export function checkNewPassword(password: string, email: string, path = "/password"): string {
  const prepared = preparePassword(password);
  const problem = weakness(prepared, email);
  if (problem !== undefined) throw new InvalidInput("weak_password", `the password ${problem}`, [{ path, message: problem }]);
  return prepared;
}

function weakness(password: string, email: string): string | undefined {
  const length = characters(password);
  if (length < PASSWORD_MIN) return `must have at least ${PASSWORD_MIN} characters`;
  if (length > PASSWORD_MAX) return `must have at most ${PASSWORD_MAX} characters`;
  if (/[\p{Cc}\p{Cs}]/u.test(password)) return "must not have control characters";
  const folded = password.toLowerCase().trim();
  if (folded === email || folded === email.slice(0, email.lastIndexOf("@"))) return "must not be the e-mail address";
  if (COMMON_PASSWORDS.has(folded)) return "is one of those that are guessed first";
  if (new Set(folded).size <= 2 || isRun(folded)) return "is too regular";
  return undefined;
}

/** Characters that follow each other in Unicode, upwards or downwards: 23456789, hgfedcba. */
function isRun(text: string): boolean {
  const codes = Array.from(text, (character) => character.codePointAt(0) ?? 0);
  const steps = codes.slice(1).map((code, i) => code - (codes[i] ?? 0));
  return steps.every((step) => step === 1) || steps.every((step) => step === -1);
}

function asciiDomain(domain: string): string | undefined {
  if (domain === "" || NOT_IN_DOMAIN.test(domain)) return undefined;
  const url = URL.parse(`http://${domain}/`);
  return url !== null && DOMAIN.test(url.hostname) ? url.hostname : undefined;
}

function invalidEmail(message: string): InvalidInput {
  return new InvalidInput("invalid_email", `the e-mail address ${message}`, [{ path: "/email", message }]);
}

function characters(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
