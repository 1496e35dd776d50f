import type { Log, LogFields } from "../../shared/log/log.js";

/** A log whose lines about a job name the job's trace, while it has one. */
export function withTraceIds(log: Log, traceIdOf: (job: string) => string | undefined): Log {
  const add = (fields?: LogFields): LogFields | undefined => {
    const traceId = fields?.job === undefined ? undefined : traceIdOf(fields.job);
    return traceId === undefined ? fields : { ...fields, trace_id: traceId };
  };
  return {
    debug: (message, fields) => log.debug(message, add(fields)),
    info: (message, fields) => log.info(message, add(fields)),
    warning: (message, fields) => log.warning(message, add(fields)),
    error: (message, fields) => log.error(message, add(fields)),
    with: (fields) => withTraceIds(log.with(fields), traceIdOf),
  };
}
