import { uniqueText } from "../domain/unique.ts";

/** SHA-256 of JSON, in hex: the same whatever the order of its fields. */
export const digestOf = (value: unknown): string => new Bun.CryptoHasher("sha256").update(uniqueText(true, value)).digest("hex");
