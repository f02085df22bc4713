import pino from "pino";
import type { Log } from "../ports/runtime.ts";

/** JSON lines on stderr, one object a line, times in RFC 3339. */
export function stderrLog(level: string): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: "message",
    },
    pino.destination({ fd: 2, sync: true }),
  );
  const write =
    (at: keyof Log) =>
    (message: string, fields?: Record<string, unknown>): void =>
      logger[at](fields ?? {}, message);
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}
