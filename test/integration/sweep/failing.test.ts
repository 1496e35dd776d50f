import { afterAll, beforeAll, expect, test } from "vitest";
import type { SweepEvent } from "../../../coordinator/sweep/job.js";
import { readTrials } from "../../../coordinator/sweep/store/store.js";
import { type RunningAgent, runAgent } from "../../../node-agent/main.js";
import { AmalgamError } from "../../../shared/errors.js";
import { startAmalgam } from "../../support/command.js";
import { scoreBits, sweepHere, timelessTrials, withSweeps } from "./real-sweeps.js";
import { startTap } from "./trial-tap.js";

// A trial that fails is told with its reason, is never the best, and stops no sweep.

let place: Awaited<ReturnType<typeof withSweeps>>;
let agent: RunningAgent;

beforeAll(async () => {
  place = await withSweeps();
  agent = await runAgent({ roots: [place.path], name: "able", slots: 1, evalThreads: 1, trialMemoryBytes: 64e6 });
});
afterAll(async () => {
  await agent.close();
  await place[Symbol.asyncDispose]();
});

const on = (...addresses: readonly string[]) => ({ agents: { kind: "running", addresses }, agentWords: [] }) as const;

test("merges that overflow fail by name, and the best is one that does not", async () => {
  const parameters = "{weight: {choices: [0.2, 0.5, 1.0e38], start: 0.5}}";
  const file = await place.write("overflow.yaml", { parameters, search: "grid" });
  const events: SweepEvent[] = [];
  const result = await sweepHere(file, place.at("overflow"), {
    ...on(agent.address),
    onEvent: (event) => events.push(event),
  });
  const records = await readTrials(place.at("overflow"));
  const failed = records.filter(({ status }) => status === "failed");
  expect([records.length, failed.length]).toEqual([9, 5]);
  for (const { point, failure, loss } of failed) {
    expect(Object.values(point)).toContain(1e38);
    expect(failure?.code).toBe("not_a_number");
    expect(failure?.message).toMatch(/^score is not a number: task "(short|long)", metric "logprob"$/);
    expect(loss).toBeNaN();
  }
  expect(Object.values(result.best.point)).not.toContain(1e38);
  expect(result.trials).toEqual({ total: 9, failed: 5 });
  expect(events.filter((event) => event.type === "trial" && event.isBest && event.record.status === "failed")).toEqual(
    [],
  );
});

test("what failed on an agent is run again by retry --failed, and may be the best then", {
  timeout: 120_000,
}, async () => {
  const file = await place.write("retried.yaml", { trials: 8 });
  const [golden, folder] = [place.at("retried-golden"), place.at("retried")];
  const best = await sweepHere(file, golden, on(agent.address));
  const wanted = (await readTrials(golden)).find(({ trial }) => trial === best.best.trial)?.weights;
  await using tap = await startTap(agent.address, {
    before: (_, { model }) => {
      if (Buffer.from(model?.digest ?? []).toString("hex") === wanted)
        throw new AmalgamError("checkpoint_mismatch", "this agent is broken");
    },
  });
  const broken = await sweepHere(file, folder, on(tap.address));
  expect(broken.trials).toEqual({ total: 8, failed: 1 });
  expect(broken.best.trial).not.toBe(best.best.trial);
  await using command = startAmalgam(["sweep", "retry", folder, "--failed", "--json", "--agent", agent.address]);
  const { code, stderr } = await command.ended;
  expect([code, stderr]).toEqual([0, ""]);
  expect(command.events.find(({ event }) => event === "done")).toMatchObject({
    trials: { total: 8, failed: 0 },
    best: { trial: best.best.trial },
  });
  const unmarked = (await timelessTrials(folder)).map(({ retried: _, ...record }) => record);
  expect(unmarked).toEqual(await timelessTrials(golden));
  const bits = await scoreBits(folder);
  for (const [segment, scores] of await scoreBits(golden)) expect(bits.get(segment)).toEqual(scores);
});

test("an agent that is too small is passed over; where all are, the sweep says so and forgets their failures", async () => {
  const options = { roots: [place.path], name: "small", slots: 1, evalThreads: 1, trialMemoryBytes: 90e3 };
  const small = await runAgent(options);
  const file = await place.write("small.yaml", { trials: 8 });
  const folder = place.at("small");
  try {
    const failure = await sweepHere(file, folder, on(small.address)).catch(AmalgamError.from);
    expect(failure).toMatchObject({
      code: "usage",
      message: expect.stringMatching(/^All 8 trials failed, none is kept/),
    });
    expect((failure as AmalgamError).message).toContain('give it more ("--trial-memory" of an agent)');
    expect((failure as AmalgamError).message).toContain(" × A trial can run on no agent: ");
    expect(await readTrials(folder)).toEqual([]);
    await sweepHere(file, folder, on(small.address, agent.address));
    const records = await readTrials(folder);
    expect(new Set(records.map(({ facts }) => facts?.agent))).toEqual(new Set(["able"]));
    expect(records).toHaveLength(8);
  } finally {
    await small.close();
  }
});

test("an expert is a teacher: a merge that is the expert answers as it does", async () => {
  const parameters = "{weight: {choices: [0, 1], start: 0}}";
  const file = await place.write("teacher.yaml", {
    ...{ parameters, search: "grid", objective: "{of: short, loss: distillation}" },
    tasks: ", experts: {short: short, long: long}",
  });
  const result = await sweepHere(file, place.at("teacher"), on(agent.address));
  const records = await readTrials(place.at("teacher"));
  const losses = new Map(records.map(({ point, loss }) => [Object.values(point).join(), loss]));
  // All of the difference between an expert and the base makes the expert, up to rounding.
  expect(losses.get("1,0")).toBeCloseTo(0, 6);
  for (const other of ["0,0", "0,1", "1,1"]) expect(losses.get(other)).toBeGreaterThan(1e-4);
  expect(Object.values(result.best.point)).toEqual([1, 0]);
  expect(Math.abs(result.best.heldOut?.losses[0] ?? 1)).toBeLessThan(1e-6);
});
