import { quote } from "../quote.js";
import type { Log, LogFields, LogLevel } from "./log.js";
import { logLevels } from "./log.js";
import { redact } from "./redact.js";

/** Longest line that is written, in characters. */
const maxLength = 8_000;

/**
 * A log for people, a line for each call: `warning job-1: Unit 3 failed …`. Of the fields only the job is shown, since
 * messages name what they speak of. `write` gets the line without its end.
 */
export function textLog(write: (line: string) => void, least: LogLevel = "info", fields: LogFields = {}): Log {
  const at = (level: LogLevel) => {
    const isHeard = logLevels.indexOf(level) >= logLevels.indexOf(least);
    return (message: string, more?: LogFields): void => {
      if (isHeard) write(line(level, message, more?.job ?? fields.job));
    };
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warning: at("warning"),
    error: at("error"),
    with: (more) => textLog(write, least, { ...fields, ...more }),
  };
}

function line(level: LogLevel, message: string, job: string | undefined): string {
  const text = oneLine(redact(message.slice(0, 2 * maxLength)).slice(0, maxLength));
  if (job !== undefined) return `${level} ${oneLine(job)}: ${text}`;
  return level === "info" ? text : `${level}: ${text}`;
}

/** What a terminal would act on, line breaks included, becomes an escape. */
function oneLine(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (found) => quote(found).slice(1, -1));
}
