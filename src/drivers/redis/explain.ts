/** What an error of ioredis or of a server means, for whoever runs the service. */
interface Meaning {
  readonly of: RegExp;
  readonly reason: string;
  /** It stays wrong however often it is tried. */
  readonly lasting?: true;
  /** The server's own words say more. */
  readonly detailed?: true;
}

/** The first that fits. */
const MEANINGS: readonly Meaning[] = [
  {
    of: /sentinels are unreachable.*(NOAUTH|WRONGPASS)/s,
    reason: "its Sentinels ask for another password: put it into the URL, as in …/NAME?sentinel_password=PASSWORD",
    lasting: true,
  },
  { of: /sentinels are unreachable.*No such master/s, reason: "its Sentinels know no master of that name", lasting: true },
  { of: /sentinels are unreachable.*Last error/s, reason: "no Sentinel answers" },
  { of: /sentinels are unreachable/, reason: "no Sentinel names a master that can be used" },
  { of: /WRONGPASS/, reason: "wrong user name or password", lasting: true },
  { of: /NOAUTH/, reason: "it asks for a password: put it into the URL, as in redis://:PASSWORD@HOST:PORT", lasting: true },
  {
    of: /NOPERM|can't run this command|can't access at least one/,
    reason: "its user may not do what Artel needs",
    lasting: true,
    detailed: true,
  },
  { of: /DB index is out of range/, reason: "it has no database of that number", lasting: true },
  { of: /^READONLY|read only replica/, reason: "it is a read-only replica" },
  { of: /^LOADING/, reason: "it is still loading its data" },
  { of: /^OOM/, reason: "its memory is full" },
  { of: /^Socket timeout/, reason: "it does not answer" },
  { of: /Too many Cluster redirections|^CLUSTERDOWN/, reason: "the cluster does not reach the node that keeps this namespace" },
  { of: /max retries per request|Connection is closed|Stream isn't writeable/, reason: "the connection was lost" },
  { of: /Unknown RESP type/, reason: "what answers there is no Redis" },
];

/** Which script it was, and where in it. */
const SCRIPT = /\s*script: [0-9a-f]{40}, on @user_script:\d+\.?$/;

const meaningOf = ({ message }: Error): Meaning | undefined => MEANINGS.find(({ of }) => of.test(message));

/** The error behind one that only says that all nodes, or all addresses of a host, have failed. */
function innermost(error: Error): Error {
  const inner = (error as { lastNodeError?: unknown }).lastNodeError ?? (error as Partial<AggregateError>).errors?.[0];
  return inner instanceof Error ? innermost(inner) : error;
}

/** @returns one line; it holds no password */
export function explain(error: Error): string {
  const inner = innermost(error);
  const meaning = meaningOf(inner);
  if ("lastNodeError" in error && !meaning?.lasting) return "no node of the cluster answers";
  const message = inner.message.replace(SCRIPT, "");
  if (meaning) return meaning.detailed ? `${meaning.reason}: ${message}` : meaning.reason;
  return message || (inner as { code?: string }).code || inner.name;
}

/** Whether it is of no use to wait for better times: the password is wrong, or the user may not. */
export const isLasting = (error: Error): boolean => meaningOf(innermost(error))?.lasting === true;
