import { expect, test } from "vitest";
import { createEvaluationView } from "../../../../coordinator/cli/eval-view.js";
import type { EvaluationEvent } from "../../../../coordinator/evaluate/evaluation.js";
import type { JobAgent } from "../../../../coordinator/job/job-agents.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { madeTask, meanMetric, recordsOf } from "../../../support/made-results.js";

/** What is written about these events. */
function shown(events: readonly EvaluationEvent[], json = false) {
  const written = { stdout: "", stderr: "" };
  const stream = (name: "stdout" | "stderr"): NodeJS.WriteStream => {
    const write = (text: string): void => {
      written[name] += text;
    };
    return { isTTY: false, write } as unknown as NodeJS.WriteStream;
  };
  const view = createEvaluationView({ json, stdout: stream("stdout"), stderr: stream("stderr") });
  for (const event of events) view.observe(event);
  view.close();
  return written;
}

const agent = { name: "a\u001b[2J", address: "127.0.0.1:1", state: "lost" } as unknown as JobAgent;
const measure = { kind: "likelihood" } as const;
const unit = { id: 4, model: 0, task: 0, measure, batches: [0], bytesRead: 1, bytesWritten: 0 };
const error = new AmalgamError("out_of_memory", "It needs more");

const accuracy = madeTask({ task: "arc", metric: meanMetric("acc"), records: recordsOf("acc", [0, 1, 1, 1]) });
const odd = madeTask({ task: "sts", metric: meanMetric("rho"), records: recordsOf("rho", [Number.NaN]) });

const story: readonly EvaluationEvent[] = [
  { type: "prepared", model: "m", family: "llama", tasks: 2 },
  { type: "started", agents: ["a", "b"], batches: 9, done: 3 },
  { type: "dispatch", event: { type: "started", unit, agent, epoch: 1 } },
  { type: "dispatch", event: { type: "failed", unit, agent, epoch: 1, error, retryMs: 250 } },
  { type: "dispatch", event: { type: "agent", agent, state: "lost" } },
  { type: "fallback", agent: "b", provider: "cpu", reason: "cuda: no driver" },
  { type: "batch", model: "m", task: "arc", examples: 4 },
  { type: "scored", model: "m", result: accuracy },
  { type: "scored", model: "m", result: odd },
];

test("people read a line for what matters, a model's scores in one, and nothing that acts on a terminal", () => {
  const { stdout, stderr } = shown(story);
  expect(stdout).toBe("");
  expect(stderr.split("\n")).toEqual([
    "9 batches, 3 of them done before, on a, b",
    String.raw`slice 4 failed on a\u001b[2J: It needs more; again in 0.3 s`,
    String.raw`agent a\u001b[2J is lost`,
    "note: b runs models on cpu: cuda: no driver",
    "m: arc 0.750, sts –",
    "",
  ]);
});

test("machines read an event per line, without records, and NaN as a word", () => {
  const { stdout, stderr } = shown(story, true);
  expect(stderr).toBe("");
  const events = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(events.map(({ event }) => event)).toEqual([
    ...["prepared", "started", "slice started", "slice failed", "agent", "fallback", "batch", "scored", "scored"],
  ]);
  expect(events[3]).toEqual({
    ...{ event: "slice failed", slice: 4, agent: agent.name, epoch: 1, reason: "It needs more", retryMs: 250 },
  });
  expect(events[7]).toMatchObject({ model: "m", task: "arc", examples: 4, metrics: { acc: { value: 0.75 } } });
  expect(events[8]).toMatchObject({ metrics: { rho: { value: "NaN" } } });
  for (const scored of events.slice(7)) expect(scored).not.toHaveProperty("records");
});
