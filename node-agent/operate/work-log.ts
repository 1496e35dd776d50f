import type { Log } from "../../shared/log/log.js";
import { parseTraceparent } from "../../shared/trace/tracing.js";
import type { WorkObserver, WorkWatch } from "./work-observer.js";

/** Tells of every piece of work, at level debug: whoever asked for it knows how it ended and says so. */
export function logWork(log: Log): WorkObserver {
  return {
    begin: ({ call, job, unit, attempt, traceparent }): WorkWatch => {
      const about = { call, job, unit, attempt, trace_id: parseTraceparent(traceparent)?.traceId };
      const what = unit === undefined ? call : `${call} of unit ${unit}`;
      const begun = performance.now();
      return {
        started: () => log.debug(`Begins ${what}`, { ...about, event: "work started" }),
        observe: () => undefined,
        ended: (error) => {
          const seconds = Math.round(performance.now() - begun) / 1000;
          if (error === undefined) log.debug(`Finished ${what}`, { ...about, event: "work finished", seconds });
          else {
            const fields = { ...about, event: "work failed", seconds, code: error.code };
            log.debug(`Failed at ${what}: ${error.message}`, fields);
          }
        },
      };
    },
  };
}
