/** How much a line matters. `warning` is what somebody may have to see to, `error` what ended something. */
export type LogLevel = "debug" | "info" | "warning" | "error";

export const logLevels: readonly LogLevel[] = ["debug", "info", "warning", "error"];

/** What a line is about, for machines. Any other fact may be added; strings are cut at 4,000 characters. */
export interface LogFields {
  readonly job?: string | undefined;
  readonly unit?: number | string | undefined;
  /** The epoch of an attempt at a unit. */
  readonly attempt?: number | undefined;
  /** The agent that a coordinator speaks of. */
  readonly agent?: string | undefined;
  /** Of an error: see `ErrorCode`. */
  readonly code?: string | undefined;
  /** Hexadecimal, of W3C. */
  readonly trace_id?: string | undefined;
  readonly [field: string]: string | number | boolean | undefined;
}

/**
 * Where a process says what happens in it. Whatever it is told is fit to be written: secrets in URLs are taken out and
 * control characters escaped. It never fails.
 */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warning(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log, with these fields on every line. */
  with(fields: LogFields): Log;
}

/** Hears nothing: for whoever has no use for a log. */
export const noLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warning: () => undefined,
  error: () => undefined,
  with: () => noLog,
};

export type LogFormat = "text" | "json";

export const logFormats: readonly LogFormat[] = ["text", "json"];
