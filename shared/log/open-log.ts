import { formatCount } from "../quote.js";
import type { JsonLogOptions } from "./json-log.js";
import type { Log, LogFields, LogFormat, LogLevel } from "./log.js";
import { textLog } from "./text-log.js";

export interface LogOptions {
  /** @default "text" */
  readonly format?: LogFormat | undefined;
  /** @default "info" */
  readonly level?: LogLevel | undefined;
  /** Who writes, for the JSON form. */
  readonly base: LogFields;
  /** Gets a line with its end: the standard error stream. */
  readonly write: (line: string) => void;
  /** Characters or bytes that were written and not taken yet. @default those of standard error */
  readonly waiting?: (() => number) | undefined;
}

/** A reader of the log that stands still, such as a full pipe, costs so much memory, and from then on lines. */
const maxWaiting = 4 << 20;

/** The log of a process. Lines that nobody takes are left out, and counted once somebody does. */
export async function openLog(options: LogOptions): Promise<Log> {
  const { format = "text", level = "info", base, write, waiting = () => process.stderr.writableLength } = options;
  let missed = 0;
  const writeIfTaken = (line: string): void => {
    if (waiting() > maxWaiting) {
      missed += 1;
      return;
    }
    const before = missed;
    missed = 0;
    if (before > 0) log.warning(`Lines of the log that are missing here, for nobody read it: ${formatCount(before)}`);
    write(line);
  };
  const log: Log = await openForm(format, { level, base, write: writeIfTaken });
  return log;
}

async function openForm(format: LogFormat, options: JsonLogOptions): Promise<Log> {
  if (format === "text") return textLog((line) => options.write(`${line}\n`), options.level);
  // 27 ms, for those who ask for it.
  const { jsonLog } = await import("./json-log.js");
  return jsonLog(options);
}
