import { expect, test } from "vitest";
import { WorkHealth } from "../../../../node-agent/operate/work-health.js";
import { countWork } from "../../../../node-agent/operate/work-metrics.js";
import { observeWorkBy } from "../../../../node-agent/operate/work-observer.js";
import { traceWork } from "../../../../node-agent/operate/work-traces.js";
import type { WorkEvent } from "../../../../node-agent/responses.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { Metrics } from "../../../../shared/metrics/metrics.js";
import { parseMetrics } from "../../../support/operate/parse-metrics.js";
import { recordedTracing } from "../../../support/operate/recorded-tracing.js";

const progress = (bytesRead: number, bytesWritten: number, ioSeconds: number, writeSeconds: number): WorkEvent => {
  return { type: "progress", bytesRead, bytesWritten, ioSeconds, writeSeconds };
};
const receipt = (nonFinite: bigint): WorkEvent => ({ type: "receipt", receipt: { nonFinite } });

test("work is counted by how it ended, with its bytes", async () => {
  const metrics = new Metrics("agent");
  let now = 0;
  const observer = observeWorkBy([countWork(metrics, () => now)]);
  const unit = observer.begin({ call: "merge" });
  unit.started();
  unit.observe(progress(100, 10, 0.5, 0.25));
  unit.observe(progress(50, 5, 0.5, 0));
  unit.observe(receipt(3n));
  now = 2_000;
  unit.ended();
  observer.begin({ call: "try" }).ended(new AmalgamError("inputs_missing", ""));
  const families = parseMetrics(await metrics.text());
  const value = (name: string): unknown => families.get(name)?.samples.at(-1)?.value;
  expect(value("amalgam_agent_bytes_read_total")).toBe(150);
  expect(value("amalgam_agent_bytes_written_total")).toBe(15);
  expect(value("amalgam_agent_io_seconds_total")).toBe(1);
  expect(value("amalgam_agent_nonfinite_elements_total")).toBe(3);
  expect(families.get("amalgam_agent_calls_total")?.samples.map(({ labels }) => labels)).toEqual([
    { call: "merge", outcome: "ok" },
    { call: "try", outcome: "inputs_missing" },
  ]);
  const seconds = families.get("amalgam_agent_call_seconds")?.samples.find(({ name }) => name.endsWith("_sum"));
  expect(seconds).toMatchObject({ labels: { call: "merge" }, value: 2 });
});

test("a unit's span has its reads, computing and writes laid end to end", () => {
  const tracing = recordedTracing();
  let now = 1_000;
  const unit = traceWork(tracing, () => now).begin({
    call: "merge",
    job: "j",
    unit: 7,
    attempt: 2,
    traceparent: "attempt",
  });
  now = 2_000;
  unit.started();
  unit.observe(progress(100, 0, 0.3, 0));
  unit.observe(progress(100, 50, 0.2, 0.1));
  now = 3_000;
  unit.ended();
  const [whole, ...parts] = tracing.spans;
  expect(whole).toMatchObject({ name: "unit", parent: "attempt", end: { endMs: 3_000 } });
  expect(whole?.facts).toMatchObject({ "amalgam.job": "j", "amalgam.unit": 7, "amalgam.attempt": 2 });
  expect(
    parts.map(({ name, parent, startMs, end }) => [
      name,
      parent,
      Math.round(startMs ?? 0),
      Math.round(end?.endMs ?? 0),
    ]),
  ).toEqual([
    ["read", "unit 1", 2_000, 2_400],
    ["compute", "unit 1", 2_400, 2_900],
    ["write", "unit 1", 2_900, 3_000],
  ]);
  expect(parts[0]?.facts).toEqual({ "amalgam.is_sum": true, "amalgam.bytes": 200 });
});

test("parts are never longer than the whole, and a unit that never ran has none", () => {
  const tracing = recordedTracing();
  let now = 0;
  const traced = traceWork(tracing, () => now);
  const measured = traced.begin({ call: "merge" });
  measured.started();
  measured.observe(progress(1, 1, 9, 3));
  now = 3_000;
  measured.ended();
  expect(tracing.spans.map(({ end }) => end?.endMs)).toEqual([3_000, 2_000, 2_000, 3_000]);
  traced.begin({ call: "merge" }).ended(new AmalgamError("agent_draining", "no more"));
  expect(tracing.spans.slice(4).map(({ name, end }) => [name, end?.error])).toEqual([["unit", "no more"]]);
});

test("three failures in a row that are the agent's own speak against it, until something goes well", () => {
  const health = new WorkHealth();
  const end = (error?: AmalgamError): void => health.begin().ended(error);
  const died = new AmalgamError("internal", "A worker thread ended with code 1");
  end(died);
  end(died);
  end(new AmalgamError("canceled", "not wanted"));
  expect(health.problem).toBeUndefined();
  end(died);
  expect(health.problem).toBe("the last 3 units failed here: A worker thread ended with code 1");
  end();
  expect(health.problem).toBeUndefined();
});
