import { expect, test } from "vitest";
import { LeadTraces } from "../../../../coordinator/operate/lead-traces.js";
import { withTraceIds } from "../../../../coordinator/operate/trace-ids.js";
import { AmalgamError } from "../../../../shared/errors.js";
import type { Log } from "../../../../shared/log/log.js";
import { attemptEvents, jobRecordOf, planOf } from "../../../support/operate/lead-events.js";
import { recordedTracing } from "../../../support/operate/recorded-tracing.js";

function lead() {
  const tracing = recordedTracing();
  const traces = new LeadTraces(tracing);
  const trace = traces.begin(jobRecordOf("job-1", { traceparent: "the caller", starts: 2 }));
  const named = (name: string) => tracing.spans.filter((span) => span.name === name);
  return { tracing, traces, trace, named };
}

test("a job's parts are below it, attempts below their pass, and all have ended at the end", () => {
  const { tracing, trace } = lead();
  trace.observe({ type: "planned", plan: planOf("ties", ["F32"]) });
  trace.observe({ type: "gathering", pass: 0, units: 1, work: 0 });
  trace.observe(attemptEvents.started(0, 1));
  trace.observe(attemptEvents.finished(0, 1));
  trace.observe({ type: "writing", units: 2, work: 0 });
  trace.observe(attemptEvents.started(0, 1));
  trace.observe(attemptEvents.progress(0, 1, 10, 5));
  trace.observe(attemptEvents.finished(0, 1));
  trace.observe({ type: "committing" });
  trace.end();
  expect(tracing.spans.map(({ name, parent }) => [name, parent])).toEqual([
    ["job", "the caller"],
    ["plan", "job 1"],
    ["gather pass", "job 1"],
    ["unit attempt", "gather pass 3"],
    ["write pass", "job 1"],
    ["unit attempt", "write pass 5"],
    ["commit", "job 1"],
  ]);
  expect(tracing.spans.map(({ end }) => end)).toEqual(tracing.spans.map(() => ({})));
  expect(tracing.spans[5]?.facts).toMatchObject({
    "amalgam.unit": 0,
    "amalgam.bytes_read": 10,
    "amalgam.agent": "agent-0",
  });
});

test("an attempt's context is there from when it is told of as started", () => {
  const { trace } = lead();
  trace.observe({ type: "writing", units: 1, work: 0 });
  expect(trace.traceparentOf?.(0, 1)).toBeUndefined();
  trace.observe(attemptEvents.started(0, 1));
  expect(trace.traceparentOf?.(0, 1)).toBe("unit attempt 4");
  expect(trace.traceparentOf?.(0, 2)).toBeUndefined();
});

test("what fails says so: the attempt alone, or the job with whatever ran", () => {
  const { trace, named } = lead();
  trace.observe({ type: "writing", units: 2, work: 0 });
  trace.observe(attemptEvents.started(0, 1));
  trace.observe(attemptEvents.failed(0, 1, new AmalgamError("stalled", "too slow")));
  trace.observe(attemptEvents.started(1, 1));
  trace.end(new AmalgamError("fenced", "another leads"));
  expect(named("unit attempt").map(({ end }) => end?.error)).toEqual(["too slow", "another leads"]);
  expect([...named("write pass"), ...named("job")].map(({ end }) => end?.error)).toEqual([
    "another leads",
    "another leads",
  ]);
});

test("lines of a job that is led name its trace", () => {
  const { traces, trace } = lead();
  const lines: unknown[] = [];
  const info: Log["info"] = (_, fields) => lines.push(fields);
  const plain: Log = { debug: info, info, warning: info, error: info, with: () => plain };
  const log = withTraceIds(plain, (job) => traces.traceIdOf(job));
  log.info("one", { job: "job-1" });
  log.warning("other", { job: "job-2" });
  log.info("none");
  trace.end();
  log.info("over", { job: "job-1" });
  expect(lines).toEqual([{ job: "job-1", trace_id: "the trace" }, { job: "job-2" }, undefined, { job: "job-1" }]);
});
