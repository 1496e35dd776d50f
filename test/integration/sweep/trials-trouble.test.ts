import { afterAll, beforeAll, expect, test } from "vitest";
import type { RunnerEvent } from "../../../coordinator/sweep/trials/runner-event.js";
import { type RunningAgent, runAgent } from "../../../node-agent/main.js";
import { AmalgamError } from "../../../shared/errors.js";
import { digits, openRunner, tiesAt, tryRecipe } from "./made-sweeps.js";
import { startTap, type TapOptions } from "./trial-tap.js";

// What agents do not have, forget, get wrong or take with them costs an attempt, never a trial, and never another one.

let agent: RunningAgent;

beforeAll(async () => {
  agent = await runAgent({ roots: [digits], name: "large", slots: 1, evalThreads: 1, trialMemoryBytes: 64e6 });
});
afterAll(() => agent.close());

/** A runner whose only agent is behind a tap. */
async function tapped(options: TapOptions = {}) {
  const tap = await startTap(agent.address, options);
  const events: RunnerEvent[] = [];
  const runner = await openRunner(
    { tasks: { limit: 10 } },
    { agents: { kind: "running", addresses: [tap.address] }, onEvent: (event) => events.push(event) },
  );
  return {
    ...{ tap, runner, events },
    async [Symbol.asyncDispose]() {
      await runner[Symbol.asyncDispose]();
      await tap[Symbol.asyncDispose]();
    },
  };
}

test("statistics are gathered again only for what they depend on, and blobs are sent once", async () => {
  await using world = await tapped();
  const { runner, tap } = world;
  await tryRecipe(runner, tiesAt({ weight: 0.51 }));
  const { keeps } = tap.counts;
  await tryRecipe(runner, tiesAt({ weight: 0.52 }));
  await tryRecipe(runner, tiesAt({ weight: 0.52, density: 0.3 }));
  const [first, second, third] = tap.trials;
  const pieces = first?.request.model?.pieces.length ?? 0;
  expect(pieces).toBeGreaterThan(0);
  expect([first?.gathered, second?.gathered, third?.gathered]).toEqual([pieces, 0, pieces]);
  expect(second?.request.model?.pieces.every(({ statistics }) => statistics.length > 0)).toBe(true);
  expect(tap.counts).toEqual({ keeps, merges: 0 });
});

test("statistics over the whole model are gathered by merge units, once for all weights", async () => {
  await using world = await tapped();
  const { runner, tap } = world;
  const recipe = (weight: number): string =>
    tiesAt({ weight }).replace("normalize: false", "normalize: false, scope: model");
  const [first] = await Promise.all([0.61, 0.62].map((weight) => tryRecipe(runner, recipe(weight))));
  const { merges } = tap.counts;
  expect(merges).toBeGreaterThan(0);
  await tryRecipe(runner, recipe(0.63));
  expect(tap.counts.merges).toBe(merges);
  expect(tap.trials.map(({ gathered }) => gathered)).toEqual([0, 0, 0]);
  expect(first?.segments.every(({ records }) => records.length === 10)).toBe(true);
});

test("an agent that has not got its inputs is given them again, and no attempt is lost", async () => {
  // A density of its own, so that the agent has nothing of an earlier test.
  await using world = await tapped({ losesBlobs: (call) => call === 1 });
  const { runner, tap, events } = world;
  const held = await openRunner({ tasks: { limit: 11 } }, { agents: { kind: "running", addresses: [tap.address] } });
  const { segments, facts } = await tryRecipe(held, tiesAt({ weight: 0.71 }));
  await held[Symbol.asyncDispose]();
  expect(segments.map(({ records }) => records.length)).toEqual([11, 11]);
  expect([facts.attempts, tap.counts.keeps, tap.trials.length]).toEqual([1, 2, 2]);
  expect(runner.agents).toHaveLength(1);
  expect(events.filter(({ type }) => type === "retry")).toEqual([]);
});

test("a trial that no attempt can help fails alone", async () => {
  await using world = await tapped({
    before: (trial) => {
      if (trial === 1) throw new AmalgamError("checkpoint_mismatch", "such weights cannot be run");
    },
  });
  const all = await Promise.allSettled([0.81, 0.82].map((weight) => tryRecipe(world.runner, tiesAt({ weight }))));
  expect(all.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  const [failed] = all.filter((one) => one.status === "rejected");
  expect(failed?.reason.message).toContain("such weights cannot be run");
});

test("an answer that is not one costs its attempt", async () => {
  let isFirst = true;
  await using world = await tapped({
    change: (response) => {
      if (response.event.case === "result" && isFirst) {
        isFirst = false;
        response.event.value.task = 9;
      }
      return response;
    },
  });
  const { facts } = await tryRecipe(world.runner, tiesAt({ weight: 0.91 }));
  expect(facts.attempts).toBe(2);
  const [retry] = world.events.filter((event) => event.type === "retry");
  expect(retry?.reason).toContain("of task 9, which was not asked for");
});

test("an agent that is lost in the middle takes no trial with it", async () => {
  const other = await runAgent({ roots: [digits], slots: 1, evalThreads: 1, trialMemoryBytes: 64e6 });
  let reached: () => void = () => undefined;
  const isReached = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const tap = await startTap(other.address, {
    before: () => {
      reached();
      return new Promise<void>(() => undefined);
    },
  });
  await using runner = await openRunner(
    { tasks: { limit: 10 } },
    { agents: { kind: "running", addresses: [tap.address, agent.address] } },
  );
  const weights = [0.11, 0.12, 0.13, 0.14, 0.15];
  const running = Promise.all(weights.map((weight) => tryRecipe(runner, tiesAt({ weight }))));
  await isReached;
  await tap[Symbol.asyncDispose]();
  await other.close();
  const runs = await running;
  expect(runs.map(({ segments }) => segments.length)).toEqual(weights.map(() => 2));
  expect(Math.max(...runs.map(({ facts }) => facts.attempts))).toBeGreaterThan(1);
});

test("a trial goes to an agent that has memory for it; where there is none, it fails with the numbers", async () => {
  await using small = await runSmallAgent();
  const addresses = [small.address, agent.address];
  await using both = await openRunner({ tasks: { limit: 10 } }, { agents: { kind: "running", addresses } });
  const runs = await Promise.all([0.21, 0.22, 0.23].map((weight) => tryRecipe(both, tiesAt({ weight }))));
  expect(runs.map(({ facts }) => facts.agent)).toEqual(["large", "large", "large"]);
  const only = { kind: "running", addresses: [small.address] } as const;
  await using none = await openRunner({ tasks: { limit: 10 } }, { agents: only });
  const failure = await tryRecipe(none, tiesAt({ weight: 0.24 })).catch(AmalgamError.from);
  expect(failure).toMatchObject({ code: "usage", details: { needed: expect.stringMatching(/^\d/) } });
  await expect(tryRecipe(none, tiesAt({ weight: 0.25 }))).rejects.toThrow("it has too little memory for such a model");
});

async function runSmallAgent() {
  const small = await runAgent({ roots: [digits], name: "small", slots: 1, evalThreads: 1, trialMemoryBytes: 200e3 });
  return { address: small.address, [Symbol.asyncDispose]: () => small.close() };
}

test("agents that run no trials are refused with the reason", async () => {
  await using runner = await openRunner({ tasks: { limit: 10 } }, { agentWords: ["--trial-memory", "0"] });
  await expect(tryRecipe(runner, tiesAt({}))).rejects.toThrow(
    /"trial"\) can run on no agent: "local-1" at .*: it runs no trials \(--trial-memory 0\)/,
  );
});
