import { describe, expect, test } from "vitest";
import type { Attempt } from "../../../../coordinator/dispatch/attempts.js";
import { DispatchState, type DispatchStateOptions } from "../../../../coordinator/dispatch/dispatch-state.js";
import { defaultRetryPolicy, type RetryPolicy } from "../../../../coordinator/dispatch/retry.js";
import { AmalgamError, type ErrorCode } from "../../../../shared/errors.js";

const policy: RetryPolicy = { ...defaultRetryPolicy, firstDelayMs: 100, maxDelayMs: 1_000 };

function start(
  weights: readonly number[],
  agents: Readonly<Record<string, number>>,
  options: DispatchStateOptions = {},
): DispatchState {
  const state = new DispatchState(weights, policy, options);
  for (const [address, slots] of Object.entries(agents)) state.setAgent(address, slots, true);
  return state;
}

/** Everything that can start now. */
function startAll(state: DispatchState, now: number): Attempt[] {
  const attempts: Attempt[] = [];
  for (let next = state.next(now); next !== undefined; next = state.next(now)) attempts.push(next);
  return attempts;
}

/** The one attempt that starts now. */
function startOne(state: DispatchState, now: number): Attempt {
  const attempt = state.next(now);
  if (attempt === undefined) throw new Error("Nothing starts");
  return attempt;
}

function failure(code: ErrorCode): AmalgamError {
  return new AmalgamError(code, "on purpose");
}

test("the largest units start first, each agent up to its slots, the emptiest first", () => {
  const state = start([1, 5, 3, 4, 2], { a: 1, b: 2 });
  expect(startAll(state, 0)).toEqual([
    { unit: 1, agent: "a", epoch: 1 },
    { unit: 3, agent: "b", epoch: 1 },
    { unit: 2, agent: "b", epoch: 1 },
  ]);
});

test("units of equal size start in their own order", () => {
  expect(startAll(start([7, 7, 7], { a: 3 }), 0).map(({ unit }) => unit)).toEqual([0, 1, 2]);
});

test("a failed unit is tried again elsewhere, after a pause, with the next epoch", () => {
  const state = start([1], { a: 1, b: 1 });
  const first = startOne(state, 0);
  expect(state.fail(first, failure("io_failed"), 10)).toEqual({ kind: "retry", delayMs: 100 });
  expect(state.next(50)).toBeUndefined();
  expect(state.wakeAt(50)).toBe(110);
  expect(state.next(110)).toEqual({ unit: 0, agent: "b", epoch: 2 });
});

test("a failed unit waits for the other agent even if its own is free", () => {
  const state = start([2, 2], { a: 1, b: 1 });
  const [onA] = startAll(state, 0);
  state.fail(onA as Attempt, failure("io_failed"), 0);
  expect(state.next(500)).toBeUndefined();
  state.setAgent("b", 1, false);
  expect(state.next(500)).toMatchObject({ unit: 0, agent: "a", epoch: 2 });
});

test("a unit that has failed everywhere goes where it has failed least often", () => {
  const state = new DispatchState([1], { ...policy, attempts: 10 });
  for (const address of ["a", "b"]) state.setAgent(address, 1, true);
  const agents = [0, 1, 2, 3].map((i) => {
    const attempt = startOne(state, i * 10_000);
    state.fail(attempt, failure("stalled"), i * 10_000);
    return attempt.agent;
  });
  expect(agents).toEqual(["a", "b", "a", "b"]);
});

test("pauses grow up to a limit", () => {
  const state = new DispatchState([1], { ...policy, attempts: 10 });
  state.setAgent("a", 1, true);
  const pauses: unknown[] = [];
  for (let now = 0; pauses.length < 5; now += 10_000) {
    pauses.push(state.fail(startOne(state, now), failure("stalled"), now));
  }
  expect(pauses).toEqual([100, 400, 1_000, 1_000, 1_000].map((delayMs) => ({ kind: "retry", delayMs })));
});

test("a unit whose source is refused to agents is tried on each, and is fatal only after many tries", () => {
  const refused = new Set<string>();
  const agents = { a: 1, b: 1, c: 1, d: 1 };
  const state = start([1], agents, {
    refuses: (_, agent) => (refused.has(agent) ? "the server says no" : undefined),
  });
  for (let now = 0; refused.size < 4; now += 10_000) {
    const attempt = startOne(state, now);
    expect(refused).not.toContain(attempt.agent);
    refused.add(attempt.agent);
    expect(state.fail(attempt, failure("source_refused"), now)).toMatchObject({ kind: "retry" });
  }
  expect(state.next(1e6)).toBeUndefined();
  expect(state.blocked(1e6)?.refusals.map(({ agent }) => agent)).toEqual(["a", "b", "c", "d"]);
});

test("a unit that fails three times is fatal, with every failure", () => {
  const state = start([1], { a: 1, b: 1 });
  for (const now of [0, 10_000]) state.fail(startOne(state, now), failure("io_failed"), now);
  const verdict = state.fail(startOne(state, 20_000), failure("stalled"), 20_000);
  expect(verdict).toMatchObject({ kind: "fatal", error: { code: "stalled" } });
  expect(verdict.kind === "fatal" && verdict.failures.map((one) => one.agent).slice(0, 2)).toEqual(["a", "b"]);
});

test("an error that no retry can help is fatal at once", () => {
  const state = start([1, 1], { a: 2 });
  const [first] = startAll(state, 0);
  expect(state.fail(first as Attempt, failure("checkpoint_changed"), 0).kind).toBe("fatal");
});

test("an agent that drains says nothing about the unit", () => {
  const state = start([1], { a: 1, b: 1 });
  for (let i = 0; i < 9; i += 1) {
    expect(state.fail(startOne(state, i), failure("agent_draining"), i)).toEqual({ kind: "retry", delayMs: 0 });
  }
});

test("a lost agent's units go to others, and what it still sends is late", () => {
  const state = start([1, 1], { a: 2 });
  const attempts = startAll(state, 0);
  const lost = state.loseAgent("a", failure("agent_lost"), 5);
  expect(lost.map(({ attempt }) => attempt)).toEqual(attempts);
  state.setAgent("b", 2, true);
  expect(startAll(state, 1_000).map(({ agent, epoch }) => [agent, epoch])).toEqual([
    ["b", 2],
    ["b", 2],
  ]);
  expect(state.succeed(attempts[0] as Attempt, 1_001)).toEqual({ accepted: false, superseded: [] });
  expect(state.fail(attempts[1] as Attempt, failure("agent_lost"), 1_001)).toEqual({ kind: "late" });
  expect(state.remaining).toBe(2);
});

test("an idle agent takes over a straggler, and the first to finish counts", () => {
  const state = start([10, 10, 10], { slow: 1, fast: 1 });
  const [onSlow, onFast] = startAll(state, 0) as [Attempt, Attempt];
  state.succeed(onFast, 5_000);
  state.succeed(startOne(state, 5_000), 10_000);
  expect(state.next(14_000)).toBeUndefined();
  expect(state.wakeAt(14_000)).toBe(15_000);
  const second = startOne(state, 15_000);
  expect(second).toEqual({ unit: onSlow.unit, agent: "fast", epoch: 2 });
  expect(state.next(99_000)).toBeUndefined();
  expect(state.succeed(second, 20_000)).toEqual({ accepted: true, superseded: [onSlow] });
  expect(state.succeed(onSlow, 21_000)).toEqual({ accepted: false, superseded: [] });
  expect(state.remaining).toBe(0);
});

test("when one of two attempts fails the other goes on", () => {
  const state = start([10, 10], { slow: 1, fast: 1 });
  const [onSlow, onFast] = startAll(state, 0) as [Attempt, Attempt];
  state.succeed(onFast, 1_000);
  const second = startOne(state, 100_000);
  expect(state.fail(second, failure("io_failed"), 100_001)).toEqual({ kind: "covered" });
  expect(state.succeed(onSlow, 100_002).accepted).toBe(true);
});

describe("placement", () => {
  const on = (attempts: readonly Attempt[]): unknown[] => attempts.map(({ unit, agent }) => [unit, agent]);

  test("an agent gets the unit with the least to fetch, of equal ones the largest", () => {
    const near: Readonly<Record<string, readonly number[]>> = { a: [2, 3], b: [0] };
    const remoteBytes = (unit: number, agent: string): number => (near[agent]?.includes(unit) ? 0 : 10);
    const state = start([30, 20, 10, 15], { a: 3, b: 1 }, { remoteBytes });
    expect(on(startAll(state, 0))).toEqual([
      [3, "a"],
      [0, "b"],
      [2, "a"],
      [1, "a"],
    ]);
  });

  test("of units that must be fetched it is the share that counts", () => {
    const remoteBytes = (unit: number): number => [50, 10][unit] ?? 0;
    expect(startOne(start([100, 40], { a: 1 }, { remoteBytes }), 0).unit).toBe(1);
  });

  test("only the first units that wait are looked at", () => {
    const weights = Array.from({ length: 1_000 }, () => 1);
    const asked = new Set<number>();
    const remoteBytes = (unit: number): number => {
      asked.add(unit);
      return 1;
    };
    startOne(start(weights, { a: 1 }, { remoteBytes }), 0);
    expect(asked.size).toBe(64);
  });

  test("a unit goes only where it is not refused, however far behind it waits", () => {
    const weights = Array.from({ length: 500 }, () => 1);
    const refuses = (unit: number, agent: string) => (agent === "picky" && unit < 499 ? "too small" : undefined);
    const state = start(weights, { picky: 2 }, { refuses });
    expect(on(startAll(state, 0))).toEqual([[499, "picky"]]);
    state.setAgent("any", 1, true);
    expect(on(startAll(state, 1))).toEqual([[0, "any"]]);
  });

  test("what all agents refuse is blocked, with their reasons, until another agent comes", () => {
    const refuses = (unit: number, agent: string) =>
      agent !== "large" && unit === 0 ? `${agent} is too small` : undefined;
    const state = start([9, 1], { a: 1, b: 1 }, { refuses });
    const attempt = startOne(state, 0);
    expect(attempt.unit).toBe(1);
    expect(state.next(0)).toBeUndefined();
    expect(state.blocked(0)).toBeUndefined();
    state.succeed(attempt, 10);
    expect(state.next(10)).toBeUndefined();
    expect(state.blocked(10)).toEqual({
      unit: 0,
      refusals: [
        { agent: "a", reason: "a is too small" },
        { agent: "b", reason: "b is too small" },
      ],
    });
    state.setAgent("large", 1, true);
    expect(startOne(state, 11)).toMatchObject({ unit: 0, agent: "large" });
  });

  test("a refusal is asked for anew when an agent has changed", () => {
    let hasPeers = false;
    const state = start([1], { a: 1 }, { refuses: () => (hasPeers ? undefined : "no other agent has it") });
    expect(state.next(0)).toBeUndefined();
    hasPeers = true;
    state.setAgent("peer", 1, false);
    expect(startOne(state, 1)).toMatchObject({ unit: 0, agent: "a" });
  });

  test("a failed unit goes back to where it failed if all others refuse it", () => {
    const refuses = (_: number, agent: string) => (agent === "b" ? "too small" : undefined);
    const state = start([1], { a: 1, b: 1 }, { refuses });
    state.fail(startOne(state, 0), failure("io_failed"), 0);
    expect(startOne(state, 500)).toMatchObject({ agent: "a", epoch: 2 });
  });

  test("without any agent everything is blocked, but not during a pause", () => {
    const state = start([1], { a: 1 });
    state.fail(startOne(state, 0), failure("io_failed"), 0);
    expect(state.blocked(50)).toBeUndefined();
    state.loseAgent("a", failure("agent_lost"), 60);
    expect(state.next(200)).toBeUndefined();
    expect(state.blocked(200)).toEqual({ unit: 0, refusals: [] });
  });
});

describe("speed", () => {
  /**
   * Two agents of a slot each, of which one has shown that it needs 1,000 ms for a unit, the other 100. At 1,000 the slow
   * one is free; the fast one has been at `onFast` since 950.
   */
  function uneven(units: number, options: DispatchStateOptions = {}): { state: DispatchState; onFast: Attempt } {
    const weights = Array.from({ length: units }, () => 100);
    const state = start(weights, { slow: 1, fast: 1 }, { ...options, order: "given" });
    const [first, second] = startAll(state, 0) as [Attempt, Attempt];
    state.succeed(second, 100);
    const onFast = startOne(state, 950);
    state.succeed(first, 1_000);
    return { state, onFast };
  }

  test("the last unit goes to the fastest free agent", () => {
    const { state, onFast } = uneven(4);
    state.succeed(onFast, 1_000);
    expect(startOne(state, 1_000)).toMatchObject({ unit: 3, agent: "fast" });
  });

  test("a unit is not started on a slow agent when a fast one has it done much sooner", () => {
    const { state, onFast } = uneven(4);
    // Here it would take 1,000 ms; the fast agent is expected at 1,050, and needs 100.
    expect(state.next(1_000)).toBeUndefined();
    state.succeed(onFast, 1_050);
    expect(startOne(state, 1_050)).toMatchObject({ unit: 3, agent: "fast" });
  });

  test("the longer a fast agent is late, the less is it waited for", () => {
    const { state, onFast } = uneven(4);
    expect(state.next(1_000)).toBeUndefined();
    expect(state.wakeAt(1_000)).toBe(950 + 100 + 400);
    expect(state.next(1_449)).toBeUndefined();
    expect(startOne(state, 1_450)).toMatchObject({ unit: 3, agent: "slow" });
    expect(state.succeed(onFast, 1_451).accepted).toBe(true);
  });

  test.each([
    ["refuses it", (unit: number, agent: string) => (unit === 3 && agent === "fast" ? "no" : undefined), true],
    ["is not ready", undefined, false],
  ])("a unit is not kept for a fast agent that %s", (_, refuses, isReady) => {
    const { state } = uneven(4, { refuses });
    state.setAgent("fast", 1, isReady);
    expect(startOne(state, 1_000)).toMatchObject({ unit: 3, agent: "slow" });
  });

  test("one attempt that ends is waited for with one unit", () => {
    const { state } = uneven(5);
    state.setAgent("slow", 2, true);
    expect(startAll(state, 1_000)).toMatchObject([{ unit: 4, agent: "slow" }]);
  });

  test("while there is more work than slots everybody works", () => {
    expect(startOne(uneven(5).state, 1_000)).toMatchObject({ unit: 3, agent: "slow" });
  });

  test("a straggler is late by what the median agent needs, not by what its own has shown", () => {
    const state = start([1_000, 1_000, 1_000, 1_000], { a: 1, b: 1, slow: 1 });
    const [onA, onB, onSlow] = startAll(state, 0) as [Attempt, Attempt, Attempt];
    state.succeed(onA, 10_000);
    state.succeed(onB, 10_000);
    state.succeed(onSlow, 90_000);
    state.setAgent("a", 1, false);
    state.setAgent("b", 1, false);
    expect(startOne(state, 90_000).agent).toBe("slow");
    state.setAgent("a", 1, true);
    expect(state.wakeAt(90_000)).toBe(90_000 + 3 * 10_000);
    expect(startOne(state, 120_000)).toMatchObject({ agent: "a", epoch: 2 });
  });
});

describe("agents that come and go", () => {
  test("a late joiner gets work at once", () => {
    const state = start([3, 2, 1], { a: 1 });
    expect(startAll(state, 0)).toHaveLength(1);
    state.setAgent("b", 2, true);
    expect(startAll(state, 1).map(({ unit, agent }) => [unit, agent])).toEqual([
      [1, "b"],
      [2, "b"],
    ]);
  });

  test("what a removed agent ran is tried again at once, however often, and does not count", () => {
    const state = start([1], {});
    for (let i = 0; i < 20; i += 1) {
      state.setAgent(`agent-${i}`, 1, true);
      const attempt = startOne(state, i);
      expect(state.loseAgent(attempt.agent, failure("agent_lost"), i)).toEqual([
        { attempt, verdict: { kind: "retry", delayMs: 0 } },
      ]);
    }
  });

  test("an agent that comes back has all its slots, and its former attempts are late", () => {
    const state = start([2, 1, 1], { a: 2 });
    const [first] = startAll(state, 0);
    state.loseAgent("a", failure("agent_lost"), 1);
    expect(state.next(2)).toBeUndefined();
    state.setAgent("a", 2, true);
    expect(startAll(state, 3).map(({ epoch }) => epoch)).toEqual([2, 2]);
    expect(state.succeed(first as Attempt, 4).accepted).toBe(false);
    expect(state.next(4)).toBeUndefined();
  });

  test("failures stay with the address", () => {
    const state = start([1], { a: 1 });
    state.fail(startOne(state, 0), failure("io_failed"), 0);
    state.loseAgent("a", failure("agent_lost"), 1);
    state.setAgent("a", 1, true);
    state.setAgent("b", 1, true);
    expect(startOne(state, 1_000).agent).toBe("b");
  });
});

/** Fails the unit's attempts with these codes, one after the other, and says after how many it was given up. */
function attemptsUntilFatal(agents: readonly string[], codes: readonly ErrorCode[]): number | undefined {
  const state = start([1], Object.fromEntries(agents.map((agent) => [agent, 1])));
  for (const [i, code] of codes.entries()) {
    const now = i * 10_000;
    if (state.fail(startOne(state, now), failure(code), now).kind === "fatal") return i + 1;
  }
  return undefined;
}

const many = (code: ErrorCode): readonly ErrorCode[] => Array.from({ length: 30 }, () => code);
const [one, two, five] = [["a"], ["a", "b"], ["a", "b", "c", "d", "e"]];

test.each<[string, readonly string[], readonly ErrorCode[], number | undefined]>([
  ["three failures on the only agent", one, many("io_failed"), 3],
  ["three failures on two agents", two, many("stalled"), 3],
  ["failures on three of five agents", five, many("chunk_corrupt"), 3],
  ["three lost agents", five, many("agent_lost"), 3],
  ["ten losses of the only agent", one, many("agent_lost"), 10],
  ["ten losses of two agents", two, many("agent_lost"), 10],
  ["nothing that draining agents say", five, many("agent_draining"), undefined],
  ["three failures among losses", five, ["agent_lost", "io_failed", "agent_lost", "io_failed", "io_failed"], 5],
  ["no two failures and two losses", five, ["agent_lost", "io_failed", "agent_lost", "io_failed"], undefined],
])("a unit is given up after %s", (_, agents, codes, attempts) => {
  expect(attemptsUntilFatal(agents, codes)).toBe(attempts);
});

test("when the second of two attempts fails it is not made again at once", () => {
  const state = start([10, 10], { slow: 1, fast: 1, other: 1 });
  const [, onFast] = startAll(state, 0) as [Attempt, Attempt];
  state.succeed(onFast, 1_000);
  state.fail(startOne(state, 100_000), failure("io_failed"), 100_000);
  expect(state.next(100_000)).toBeUndefined();
  expect(state.wakeAt(100_000)).toBe(100_100);
  expect(startOne(state, 100_100).epoch).toBe(3);
});

/**
 * A seeded run of a whole job in an unfriendly cluster, on an invented clock. In a changing one agents also come back, are
 * of many speeds, refuse units and have to fetch inputs.
 */
function simulate(
  seed: number,
  isChanging = false,
): { accepted: number[]; epochs: Map<number, number[]>; units: number; ended: string } {
  let random = seed;
  const chance = (): number => {
    random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
    return random / 2 ** 32;
  };
  const pick = (n: number): number => Math.floor(chance() * n);
  const weights = Array.from({ length: 1 + pick(40) }, () => 1 + pick(1_000));
  // The first agent takes everything.
  const isRefused = (unit: number, agent: string): boolean => agent !== "agent-0" && agent === `agent-${unit % 7}`;
  const placement: DispatchStateOptions = {
    refuses: (unit, agent) => (isRefused(unit, agent) ? "not this one" : undefined),
    remoteBytes: (unit, agent) => (agent === `agent-${unit % 3}` ? 0 : (weights[unit] ?? 0) / 2),
  };
  const retry = {
    ...policy,
    attempts: 20,
    losses: 20,
    maxAttempts: 20,
    stragglerMs: 200,
    stragglerFactor: 2,
  };
  const state = new DispatchState(weights, retry, isChanging ? placement : {});
  const slots = new Map<string, number>(Array.from({ length: 1 + pick(5) }, (_, i) => [`agent-${i}`, 1 + pick(4)]));
  const alive = new Set(slots.keys());
  for (const [address, count] of slots) state.setAgent(address, count, true);

  // Attempts that the agents still work on; those of lost agents stay and report late.
  const working: { attempt: Attempt; at: number }[] = [];
  const running = new Map<string, number>();
  const [accepted, epochs] = [[] as number[], new Map<number, number[]>()];
  let now = 0;
  for (let step = 0; step < 20_000; step += 1) {
    for (const attempt of startAll(state, now)) {
      const [ms, factor] = [1 + pick(600), isChanging ? 1 + 4 * Number(attempt.agent.at(-1)) : 1];
      working.push({ attempt, at: now + ms * factor });
      if (isChanging && isRefused(attempt.unit, attempt.agent)) throw new Error(`Seed ${seed}: a refused unit started`);
      if (!alive.has(attempt.agent)) throw new Error(`Seed ${seed}: ${attempt.agent} is lost and got work`);
      epochs.set(attempt.unit, [...(epochs.get(attempt.unit) ?? []), attempt.epoch]);
      if (accepted.includes(attempt.unit)) throw new Error(`Seed ${seed}: unit ${attempt.unit} was done already`);
    }
    if (state.remaining === 0) return { accepted, epochs, units: weights.length, ended: "done" };
    working.sort((a, b) => a.at - b.at);
    const next = working[0]?.at ?? Infinity;
    const wake = state.wakeAt(now) ?? Infinity;
    const gone = [...slots.keys()].filter((address) => !alive.has(address));
    const isStuck = next === Infinity && wake === Infinity;
    if (isChanging && gone.length > 0 && (isStuck || chance() < 0.03)) {
      if (isStuck) expect(state.blocked(now)).toBeDefined();
      const back = gone[pick(gone.length)] as string;
      alive.add(back);
      state.setAgent(back, slots.get(back) ?? 1, true);
    } else if (chance() < 0.02 && alive.size > (isChanging ? 0 : 1)) {
      const lost = [...alive][pick(alive.size)] as string;
      alive.delete(lost);
      for (const { verdict } of state.loseAgent(lost, failure("agent_lost"), now)) {
        if (verdict.kind === "fatal") return { accepted, epochs, units: weights.length, ended: "fatal" };
      }
      running.delete(lost);
    } else if (next <= wake && next < Infinity) {
      const { attempt, at } = working.shift() as { attempt: Attempt; at: number };
      now = Math.max(now, at);
      if (chance() < 0.15) {
        const code = chance() < 0.2 ? "agent_draining" : "io_failed";
        const { kind } = state.fail(attempt, failure(code), now);
        if (kind === "fatal") return { accepted, epochs, units: weights.length, ended: "fatal" };
      } else if (state.succeed(attempt, now).accepted) accepted.push(attempt.unit);
    } else if (wake < Infinity) now = wake;
    else return { accepted, epochs, units: weights.length, ended: "stuck" };
  }
  return { accepted, epochs, units: weights.length, ended: "endless" };
}

test.each([
  ["unfriendly", false],
  ["changing", true],
])("in 1,000 %s clusters every unit is accepted exactly once", (_, isChanging) => {
  let fatal = 0;
  for (let seed = 1; seed <= 1_000; seed += 1) {
    const { accepted, epochs, units, ended } = simulate(seed, isChanging);
    expect(["done", "fatal"], `seed ${seed}`).toContain(ended);
    expect(new Set(accepted).size, `seed ${seed}`).toBe(accepted.length);
    if (ended === "done") expect(accepted.length, `seed ${seed}`).toBe(units);
    else fatal += 1;
    // Epochs of a unit count up from one.
    for (const seen of epochs.values()) expect(seen).toEqual(seen.map((_, i) => i + 1));
  }
  expect(fatal).toBeLessThan(10);
});
