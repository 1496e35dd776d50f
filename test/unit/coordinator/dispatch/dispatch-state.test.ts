import { expect, test } from "vitest";
import { type Attempt, DispatchState } from "../../../../coordinator/dispatch/dispatch-state.js";
import { defaultRetryPolicy, type RetryPolicy } from "../../../../coordinator/dispatch/retry.js";
import { AmalgamError, type ErrorCode } from "../../../../shared/errors.js";

const policy: RetryPolicy = { ...defaultRetryPolicy, firstDelayMs: 100, maxDelayMs: 1_000 };

function start(weights: readonly number[], agents: Readonly<Record<string, number>>): DispatchState {
  const state = new DispatchState(weights, policy);
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

/** A seeded run of a whole job in an unfriendly cluster, on an invented clock. */
function simulate(seed: number): { accepted: number[]; epochs: Map<number, number[]>; units: number; ended: string } {
  let random = seed;
  const chance = (): number => {
    random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
    return random / 2 ** 32;
  };
  const pick = (n: number): number => Math.floor(chance() * n);
  const weights = Array.from({ length: 1 + pick(40) }, () => 1 + pick(1_000));
  const state = new DispatchState(weights, { ...policy, attempts: 20, stragglerMs: 200, stragglerFactor: 2 });
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
      working.push({ attempt, at: now + 1 + pick(600) });
      if (!alive.has(attempt.agent)) throw new Error(`Seed ${seed}: ${attempt.agent} is lost and got work`);
      epochs.set(attempt.unit, [...(epochs.get(attempt.unit) ?? []), attempt.epoch]);
      if (accepted.includes(attempt.unit)) throw new Error(`Seed ${seed}: unit ${attempt.unit} was done already`);
    }
    if (state.remaining === 0) return { accepted, epochs, units: weights.length, ended: "done" };
    working.sort((a, b) => a.at - b.at);
    const next = working[0]?.at ?? Infinity;
    const wake = state.wakeAt(now) ?? Infinity;
    if (chance() < 0.02 && alive.size > 1) {
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

test("in 1,000 unfriendly clusters every unit is accepted exactly once", () => {
  let fatal = 0;
  for (let seed = 1; seed <= 1_000; seed += 1) {
    const { accepted, epochs, units, ended } = simulate(seed);
    expect(["done", "fatal"], `seed ${seed}`).toContain(ended);
    expect(new Set(accepted).size, `seed ${seed}`).toBe(accepted.length);
    if (ended === "done") expect(accepted.length, `seed ${seed}`).toBe(units);
    else fatal += 1;
    // Epochs of a unit count up from one.
    for (const seen of epochs.values()) expect(seen).toEqual(seen.map((_, i) => i + 1));
  }
  expect(fatal).toBeLessThan(10);
});
