import { expect, test } from "vitest";
import type { DispatchAgent, Dispatchable } from "../../../../coordinator/dispatch/dispatchable.js";
import { type DispatchEvent, type DispatchOptions, dispatch } from "../../../../coordinator/dispatch/dispatcher.js";
import type { AgentState } from "../../../../coordinator/dispatch/states.js";
import { sleep } from "../../../../shared/clock.js";
import { AmalgamError, type ErrorCode } from "../../../../shared/errors.js";
import { VirtualClock } from "../../../simulation/virtual-clock.js";

/** An agent that is a plain object. It is lost as soon as an `agent_lost` is reported of it. */
class FakeAgent implements DispatchAgent {
  readonly address: string;
  readonly slots: number;
  state: AgentState = "ready";
  lostBecause: AmalgamError | undefined;
  changed: (agent: FakeAgent) => void = () => undefined;

  constructor(address: string, slots = 1) {
    this.address = address;
    this.slots = slots;
  }

  get name(): string {
    return this.address;
  }

  get label(): string {
    return `"${this.address}"`;
  }

  report(error: AmalgamError): void {
    if (error.code === "agent_lost") this.lose(error);
  }

  drain(): void {
    this.state = "draining";
    this.changed(this);
  }

  lose(because: AmalgamError): void {
    this.lostBecause = because;
    this.state = "lost";
    this.changed(this);
  }
}

/** A set of them, in time that passes only when it is told to. */
class World {
  readonly clock = new VirtualClock();
  readonly events: DispatchEvent<Dispatchable, FakeAgent>[] = [];
  readonly results: number[] = [];
  readonly #agents: FakeAgent[] = [];
  readonly #listeners = new Set<(agent: FakeAgent) => void>();
  failure: AmalgamError | undefined;
  isOver = false;

  constructor(...agents: FakeAgent[]) {
    for (const agent of agents) this.join(agent);
  }

  get list(): readonly FakeAgent[] {
    return this.#agents;
  }

  onChange(listener: (agent: FakeAgent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  join(agent: FakeAgent): void {
    const place = this.#agents.findIndex(({ address }) => address === agent.address);
    this.#agents.splice(place < 0 ? this.#agents.length : place, place < 0 ? 0 : 1, agent);
    agent.changed = (changed) => {
      for (const listener of this.#listeners) listener(changed);
    };
    agent.changed(agent);
  }

  /** Starts a job; a unit takes as many milliseconds as it has bytes. */
  run(bytes: readonly number[], options: Partial<DispatchOptions<Dispatchable, number, FakeAgent>> = {}): void {
    const units = bytes.map((bytesRead, id) => ({ id, bytesRead, bytesWritten: 0 }));
    const results = dispatch(units, {
      agents: this,
      clock: this.clock,
      onEvent: (event) => this.events.push(event),
      run: async ({ unit, signal }) => {
        await sleep(this.clock, unit.bytesRead, signal);
        signal.throwIfAborted();
        return unit.id;
      },
      ...options,
    });
    void (async () => {
      try {
        for await (const result of results) this.results.push(result);
      } catch (reason) {
        this.failure = AmalgamError.from(reason);
      }
      this.isOver = true;
    })();
  }

  /** Attempts that have failed: unit, code, and the pause before the next one. */
  get failed(): readonly (readonly unknown[])[] {
    return this.events.flatMap((event) =>
      event.type === "failed" ? [[event.unit.id, event.error.code, event.retryMs]] : [],
    );
  }

  /** Lets the job end. */
  async end(): Promise<void> {
    expect(await this.clock.advanceUntil(() => this.isOver, 3_600_000)).toBe(true);
  }

  of(...types: readonly string[]): readonly (readonly unknown[])[] {
    return this.events
      .filter(({ type }) => types.includes(type))
      .map((event) => ("unit" in event ? [event.type, event.unit.id, event.agent.address, event.epoch] : [event.type]));
  }
}

function failing(code: ErrorCode): () => Promise<never> {
  return async () => {
    throw new AmalgamError(code, "broken");
  };
}

test("every unit is done once, on all slots and no more", async () => {
  const world = new World(new FakeAgent("a"), new FakeAgent("b", 3));
  const running = new Map<string, number>();
  let most = 0;
  world.run(
    Array.from({ length: 20 }, (_, i) => 20 - i),
    {
      run: async ({ unit, agent }) => {
        running.set(agent.address, (running.get(agent.address) ?? 0) + 1);
        expect(running.get(agent.address)).toBeLessThanOrEqual(agent.slots);
        most = Math.max(
          most,
          [...running.values()].reduce((total, count) => total + count, 0),
        );
        await sleep(world.clock, 10);
        running.set(agent.address, (running.get(agent.address) ?? 0) - 1);
        return unit.id;
      },
    },
  );
  await world.end();
  expect(world.results).toEqual(Array.from({ length: 20 }, (_, i) => i));
  expect(most).toBe(4);
});

test("what may pass is tried again on the agents that are left", async () => {
  const world = new World(new FakeAgent("dies", 2), new FakeAgent("lives"));
  const finished: [number, string][] = [];
  world.run(
    Array.from({ length: 20 }, () => 5),
    {
      run: async ({ unit, agent }) => {
        await sleep(world.clock, 5);
        if (agent.name === "dies" && unit.id > 3) throw new AmalgamError("agent_lost", "gone");
        finished.push([unit.id, agent.name]);
        return unit.id;
      },
    },
  );
  await world.end();
  expect(world.results.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  expect(finished.filter(([id, agent]) => id > 3 && agent === "dies")).toEqual([]);
});

test.each<[ErrorCode, number, string]>([
  ["chunk_corrupt", 3, 'Unit 0 failed 3 times; on "a": broken'],
  ["checkpoint_malformed", 1, "broken"],
])("a unit that fails with %s is given up after %i attempts", async (code, attempts, message) => {
  const world = new World(new FakeAgent("a", 2));
  let count = 0;
  world.run([1], {
    run: () => {
      count += 1;
      return failing(code)();
    },
  });
  await world.end();
  expect(world.failure).toMatchObject({ code, message });
  expect(count).toBe(attempts);
});

test("all that run are told when one has failed for good, and when the signal says so", async () => {
  const world = new World(new FakeAgent("a", 3));
  const ended: number[] = [];
  world.run([3, 2, 1], {
    run: async ({ unit, signal }) => {
      if (unit.id === 1) throw new AmalgamError("usage", "refused");
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      ended.push(unit.id);
      throw signal.reason;
    },
  });
  await world.end();
  expect(world.failure?.message).toBe("refused");
  expect(ended).toEqual([0, 2]);
  const controller = new AbortController();
  const other = new World(new FakeAgent("a"));
  other.run([1_000, 1_000], { signal: controller.signal });
  await other.clock.advance(500);
  controller.abort(new AmalgamError("canceled", "Interrupted"));
  await other.end();
  expect(other.failure).toMatchObject({ code: "canceled", message: "Interrupted" });
});

test("without agents the job fails, with the reason of each", async () => {
  const world = new World(new FakeAgent("a"), new FakeAgent("b"));
  world.run([1, 1], { run: failing("agent_lost") });
  await world.end();
  expect(world.failure).toMatchObject({
    code: "agent_lost",
    message: 'All 2 agents are lost with 2 units to go ("a": broken; "b": broken)',
  });
});

test("an agent that is being connected to is waited for", async () => {
  const agent = new FakeAgent("a");
  agent.state = "connecting";
  const world = new World(agent);
  world.run([1]);
  await world.clock.advance(60_000);
  expect(world.isOver).toBe(false);
  agent.state = "ready";
  agent.changed(agent);
  await world.end();
  expect(world.results).toEqual([0]);
  expect(world.of("waiting", "resumed")).toEqual([]);
});

test("a job without agents waits for one, and says so once", async () => {
  const world = new World();
  world.run([10, 10], { waitForAgentsMs: Infinity });
  await world.clock.advance(1_000_000);
  expect(world.events).toEqual([{ type: "waiting", reason: "no agent is ready" }]);
  const first = new FakeAgent("a");
  world.join(first);
  await world.clock.advance(5);
  first.lose(new AmalgamError("agent_lost", "gone"));
  await world.clock.advance(1_000);
  world.join(new FakeAgent("b"));
  await world.end();
  expect(world.results.toSorted()).toEqual([0, 1]);
  expect(world.of("waiting", "resumed", "started", "finished", "failed")).toEqual([
    ["waiting"],
    ["resumed"],
    ["started", 0, "a", 1],
    ["failed", 0, "a", 1],
    ["waiting"],
    ["resumed"],
    ["started", 0, "b", 2],
    ["finished", 0, "b", 2],
    ["started", 1, "b", 1],
    ["finished", 1, "b", 1],
  ]);
});

test("nobody waits for longer than was asked for, and time at work does not count", async () => {
  const world = new World(new FakeAgent("a"));
  world.run([500_000, 10], { waitForAgentsMs: 30_000 });
  await world.clock.advance(500_005);
  world.list[0]?.lose(new AmalgamError("agent_lost", "gone"));
  await world.clock.advance(29_000);
  expect(world.isOver).toBe(false);
  await world.clock.advance(1_000);
  expect(world.failure).toMatchObject({
    code: "agent_lost",
    message: "No agent came for 30 s with 1 unit to go: no agent is ready",
  });
});

const onlyLarge = {
  refuses: ({ id }: Dispatchable, { address }: FakeAgent) =>
    id === 0 && address !== "large" ? "it may hold too little" : undefined,
};

test("a unit that all agents refuse fails the job, with their reasons", async () => {
  const world = new World(new FakeAgent("a"), new FakeAgent("b"));
  world.run([10, 10], { placement: onlyLarge, tensorsOf: ({ id }) => [`layer.${id}`] });
  await world.end();
  expect(world.results).toEqual([1]);
  expect(world.failure).toMatchObject({
    code: "usage",
    message: 'Unit 0 ("layer.0") can run on no agent: "a": it may hold too little; "b": it may hold too little',
  });
});

test("a unit that all agents refuse waits for another one, if others may come", async () => {
  const world = new World(new FakeAgent("a"));
  world.run([10, 10], { placement: onlyLarge, waitForAgentsMs: 60_000 });
  await world.clock.advance(1_000);
  expect(world.events.at(-1)).toEqual({
    type: "waiting",
    reason: 'Unit 0 can run on no agent: "a": it may hold too little',
  });
  world.join(new FakeAgent("large"));
  await world.end();
  expect(world.results).toEqual([1, 0]);
});

test("units go where their inputs are", async () => {
  const world = new World(new FakeAgent("a"), new FakeAgent("b"));
  const remoteBytes = ({ id, bytesRead }: Dispatchable, { address }: FakeAgent): number =>
    (id % 2 === 0) === (address === "a") ? 0 : bytesRead;
  world.run([10, 10, 10, 10, 10, 10], { placement: { remoteBytes } });
  await world.end();
  for (const [, id, agent] of world.of("started")) expect(agent).toBe(Number(id) % 2 === 0 ? "a" : "b");
});

test("an agent that came back at its address is a new one: what it ran before is over", async () => {
  const first = new FakeAgent("a", 2);
  const world = new World(first);
  world.run([100, 100], { waitForAgentsMs: Infinity });
  await world.clock.advance(50);
  first.lose(new AmalgamError("agent_lost", "started anew"));
  const second = new FakeAgent("a", 2);
  world.join(second);
  // Of the one that is gone.
  first.changed(first);
  await world.end();
  expect(world.of("started").map(([, id, , epoch]) => [id, epoch])).toEqual([
    [0, 1],
    [1, 1],
    [0, 2],
    [1, 2],
  ]);
  const failed = world.events.flatMap((event) => (event.type === "failed" ? [event] : []));
  expect(failed.map(({ agent, retryMs }) => [agent === first, retryMs])).toEqual([
    [true, 0],
    [true, 0],
  ]);
  expect(world.events.flatMap((event) => (event.type === "finished" ? [event.agent] : []))).toEqual([second, second]);
});

test("a unit that kills three agents fails the job", async () => {
  const agents = Array.from({ length: 6 }, (_, i) => new FakeAgent(`agent-${i}`));
  const world = new World(...agents);
  world.run([9, 1, 1, 1], {
    run: async ({ unit }) => {
      await sleep(world.clock, 5);
      if (unit.id === 0) throw new AmalgamError("agent_lost", "the connection broke");
      return unit.id;
    },
    waitForAgentsMs: Infinity,
    retry: { firstDelayMs: 10 },
  });
  await world.end();
  expect(agents.filter(({ state }) => state === "lost")).toHaveLength(3);
  expect(world.failure).toMatchObject({ code: "agent_lost", message: expect.stringContaining("failed 3 times") });
});

test("an agent that is gone while it drains has drained, and what it ran does not count", async () => {
  const world = new World(new FakeAgent("last"));
  world.run([100, 100], {
    run: async ({ unit, agent }) => {
      await sleep(world.clock, 5);
      if (agent.name !== "last") return unit.id;
      throw new AmalgamError("agent_lost", "the connection broke");
    },
    waitForAgentsMs: Infinity,
    retry: { maxAttempts: 1 },
  });
  const [last] = world.list;
  last?.drain();
  await world.clock.advance(5);
  expect(world.of("failed")).toEqual([["failed", 0, "last", 1]]);
  world.join(new FakeAgent("next"));
  await world.end();
  expect(world.results.toSorted()).toEqual([0, 1]);
});

test("a unit that comes to an agent after it has left has been refused, not lost", async () => {
  const world = new World(new FakeAgent("last"), new FakeAgent("slow"));
  world.run([100], {
    run: async ({ unit, agent, onProgress }) => {
      // As a call does that has to connect first.
      await sleep(world.clock, 5);
      if (agent.name === "last") throw new AmalgamError("agent_lost", "nobody listens there");
      onProgress(0, 0);
      return unit.id;
    },
  });
  const [last] = world.list;
  last?.drain();
  await world.end();
  expect(world.failed).toEqual([[0, "agent_draining", 0]]);
  expect(last?.state).toBe("lost");
  expect(world.results).toEqual([0]);
});

test("a unit that an agent had when it left has been lost, and does not count", async () => {
  const world = new World(new FakeAgent("last"), new FakeAgent("slow"));
  world.run([100], {
    run: async ({ unit, agent, onProgress }) => {
      onProgress(0, 0);
      await sleep(world.clock, 5);
      if (agent.name === "last") throw new AmalgamError("agent_lost", "the connection broke");
      return unit.id;
    },
    retry: { maxAttempts: 1 },
  });
  const [last] = world.list;
  last?.drain();
  await world.end();
  expect(world.failed).toEqual([[0, "agent_lost", 0]]);
  expect(world.results).toEqual([0]);
});

test("a result that is on its way from an agent that has left is taken, whatever else did not reach it", async () => {
  const world = new World(new FakeAgent("last", 2));
  world.run([100, 10], {
    run: async ({ unit, agent, signal, onProgress }) => {
      if (unit.id === 1 && agent.name === "last") {
        await sleep(world.clock, 5);
        throw new AmalgamError("agent_lost", "nobody listens there");
      }
      onProgress(0, 0);
      await sleep(world.clock, unit.bytesRead, signal);
      signal.throwIfAborted();
      return unit.id;
    },
    waitForAgentsMs: Infinity,
  });
  const [last] = world.list;
  last?.drain();
  await world.clock.advance(100);
  expect(world.failed).toEqual([[1, "agent_draining", 0]]);
  expect(world.results).toEqual([0]);
  world.join(new FakeAgent("next"));
  await world.end();
  expect(world.results).toEqual([0, 1]);
  expect(world.of("finished")).toEqual([
    ["finished", 0, "last", 1],
    ["finished", 1, "next", 2],
  ]);
});

test("a leader that has been fenced off stops at once, whichever attempt hears of it", async () => {
  const world = new World(new FakeAgent("a"), new FakeAgent("b"));
  const stopped: number[] = [];
  world.run([50, 10, 10], {
    run: async ({ unit, signal }) => {
      if (unit.id === 2) throw new AmalgamError("fenced", "Another coordinator leads");
      await sleep(world.clock, unit.bytesRead, signal);
      if (signal.aborted) stopped.push(unit.id);
      return unit.id;
    },
  });
  await world.end();
  expect(world.failure).toMatchObject({ code: "fenced", message: "Another coordinator leads" });
  expect(world.results).toEqual([1]);
  expect(stopped).toEqual([0]);
  const other = new World(new FakeAgent("a"), new FakeAgent("b"));
  other.run([50, 50]);
  await other.clock.advance(1);
  other.list[1]?.lose(new AmalgamError("fenced", "Another coordinator leads"));
  await other.end();
  expect(other.failure?.code).toBe("fenced");
});
