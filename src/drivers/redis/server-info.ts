/** What a server says of itself that decides whether it can be used. */
export interface ServerInfo {
  readonly version: string;
  readonly replica: boolean;
  /** It throws keys away when its memory is full. */
  readonly evicts: string | undefined;
}

/** LPOP with a count and XTRIM by MINID came with it. */
const OLDEST = [6, 2] as const;

/** Reads the answer of INFO. */
export function serverInfo(text: string): ServerInfo {
  const field = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(text)?.[1] ?? "";
  const policy = field("maxmemory_policy");
  const limited = Number(field("maxmemory")) > 0;
  return {
    version: field("redis_version"),
    replica: field("role") === "slave",
    evicts: limited && policy !== "" && policy !== "noeviction" ? policy : undefined,
  };
}

/** Why this server cannot be used; undefined: it can. */
export function refusal({ version }: ServerInfo): string | undefined {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [oldMajor, oldMinor] = OLDEST;
  const tooOld = version !== "" && (major < oldMajor || (major === oldMajor && minor < oldMinor));
  return tooOld ? `it is Redis ${version}, and Artel needs ${OLDEST.join(".")} or later` : undefined;
}
