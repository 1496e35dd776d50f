import type { SpanFacts, TraceSpan, Tracing } from "../../shared/trace/tracing.js";
import type { WorkObserver, WorkWatch } from "./work-observer.js";

/**
 * Makes spans of an agent's work: `unit` from the call to its end, and in it what its reads, computing and writes took. These
 * three take turns, tile by tile, so their spans are sums laid end to end from when the unit left the queue; they say so.
 */
export function traceWork(tracing: Tracing, now: () => number = () => Date.now()): WorkObserver {
  return {
    begin: ({ call, job, unit, attempt, traceparent }): WorkWatch => {
      const facts: Record<string, string | number> = { "amalgam.call": call };
      if (job !== undefined) facts["amalgam.job"] = job;
      if (unit !== undefined) facts["amalgam.unit"] = unit;
      if (attempt !== undefined) facts["amalgam.attempt"] = attempt;
      const name = call === "merge" ? "unit" : call;
      const span = tracing.start(name, { parent: traceparent, kind: "server", facts });
      const sums = { bytesRead: 0, bytesWritten: 0, ioMs: 0, writeMs: 0 };
      let startedMs: number | undefined;
      return {
        started: () => {
          startedMs = now();
        },
        observe: (event) => {
          if (event.type !== "progress") return;
          sums.bytesRead += event.bytesRead;
          sums.bytesWritten += event.bytesWritten;
          if (!("ioSeconds" in event)) return;
          sums.ioMs += event.ioSeconds * 1000;
          if ("writeSeconds" in event) sums.writeMs += (event.writeSeconds ?? 0) * 1000;
        },
        ended: (error) => {
          const endMs = now();
          if (call === "merge" && startedMs !== undefined) tracePhases(tracing, span, sums, startedMs, endMs);
          span.end(error, endMs);
        },
      };
    },
  };
}

interface Sums {
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly ioMs: number;
  readonly writeMs: number;
}

function tracePhases(tracing: Tracing, unit: TraceSpan, sums: Sums, startedMs: number, endMs: number): void {
  const { bytesRead, bytesWritten, ioMs, writeMs } = sums;
  // Clocks are read at different moments: the parts never take longer than the whole.
  const wholeMs = Math.max(0, endMs - startedMs);
  const scale = ioMs > wholeMs ? wholeMs / ioMs : 1;
  const [read, write] = [(ioMs - writeMs) * scale, writeMs * scale];
  let at = startedMs;
  const phase = (name: string, ms: number, facts: SpanFacts): void => {
    const span = tracing.start(name, {
      parent: unit.traceparent,
      startMs: at,
      facts: { "amalgam.is_sum": true, ...facts },
    });
    at += ms;
    span.end(undefined, at);
  };
  phase("read", read, { "amalgam.bytes": bytesRead });
  phase("compute", wholeMs - read - write, {});
  phase("write", write, { "amalgam.bytes": bytesWritten });
}
