import { type Logger, pino } from "pino";
import type { Log, LogFields, LogLevel } from "./log.js";
import { redact, redacted } from "./redact.js";

export interface JsonLogOptions {
  readonly level: LogLevel;
  /** Who writes: on every line. */
  readonly base: LogFields;
  /** Gets one line, with its end. */
  readonly write: (line: string) => void;
}

const maxLength = 4_000;

/** Fields that hold a secret whatever they say. */
const secretFields = ["token", "password", "secret", "key", "authorization", "cookie", "credentials"];

/**
 * A log for machines: one JSON object per line, with `time` (ISO 8601), `level`, `msg`, what `base` says and the fields of
 * the call. JSON has no control characters, so no line can be forged from inside a message.
 */
export function jsonLog({ level, base, write }: JsonLogOptions): Log {
  const logger = pino(
    {
      level: level === "warning" ? "warn" : level,
      base: clean(base),
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label === "warn" ? "warning" : label }) },
      redact: { paths: secretFields, censor: redacted },
    },
    { write },
  );
  return over(logger);
}

function over(logger: Logger): Log {
  const at = (level: "debug" | "info" | "warn" | "error") => {
    return (message: string, fields?: LogFields): void => {
      if (logger.isLevelEnabled(level)) logger[level](clean(fields), shown(message));
    };
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warning: at("warn"),
    error: at("error"),
    with: (fields) => over(logger.child(clean(fields))),
  };
}

function clean(fields: LogFields = {}): Record<string, string | number | boolean> {
  const kept: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || ownKeys.has(name)) continue;
    kept[name] = typeof value === "string" ? shown(value) : value;
  }
  return kept;
}

/** A second key of the same name would leave it to the reader which one counts. */
const ownKeys: ReadonlySet<string> = new Set(["time", "level", "msg"]);

/** Invisible characters above the controls, which JSON leaves as they are, would still turn text around in a terminal. */
function shown(text: string): string {
  return redact(text.slice(0, 4 * maxLength))
    .slice(0, maxLength)
    .replace(/[\p{Cf}\p{Zl}\p{Zp}\u007f-\u009f]/gu, (found) => `\\u{${found.codePointAt(0)?.toString(16)}}`);
}
