import { expect, test } from "vitest";
import type { DispatchAgent, Dispatchable, Placement } from "../../../../coordinator/dispatch/dispatchable.js";
import type { AttemptContext } from "../../../../coordinator/dispatch/dispatcher.js";
import { OpenDispatch } from "../../../../coordinator/dispatch/open-dispatch.js";
import type { AgentState } from "../../../../coordinator/dispatch/states.js";
import type { Clock } from "../../../../shared/clock.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { VirtualClock } from "../../../simulation/virtual-clock.js";

class FakeAgent implements DispatchAgent {
  readonly slots = 2;
  readonly lostBecause = undefined;
  state: AgentState = "ready";
  readonly address: string;

  constructor(address: string) {
    this.address = address;
  }

  get name(): string {
    return this.address;
  }

  get label(): string {
    return this.address;
  }

  report(): void {}
}

type Run = (attempt: AttemptContext<Dispatchable, FakeAgent>) => Promise<string>;

function open(
  run: Run,
  names = ["a", "b"],
  placement?: Placement<Dispatchable, FakeAgent>,
  waiting: { readonly clock?: Clock; readonly waitForAgentsMs?: number } = {},
) {
  const agents = names.map((name) => new FakeAgent(name));
  const listeners = new Set<(agent: FakeAgent) => void>();
  const dispatch = new OpenDispatch<Dispatchable, string, FakeAgent>({
    agents: {
      list: agents,
      onChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    run,
    retry: { firstDelayMs: 1 },
    ...(placement && { placement }),
    ...waiting,
  });
  const change = (agent: FakeAgent): void => {
    for (const listener of listeners) listener(agent);
  };
  const lose = (agent: FakeAgent): void => {
    agent.state = "lost";
    change(agent);
  };
  return { agents, lose, change, dispatch, [Symbol.asyncDispose]: () => dispatch[Symbol.asyncDispose]() };
}

function work(id: number): Dispatchable {
  return { id, bytesRead: 1, bytesWritten: 1 };
}

/** Runs until it is told otherwise. */
function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
}

test("work is taken as it comes, and each gets its own answer", async () => {
  await using world = open(async ({ unit, agent }) => `${unit.id} on ${agent.address}`, ["a"]);
  expect(await Promise.all([1, 2, 3, 4, 5].map((id) => world.dispatch.run(work(id))))).toEqual([
    ...[1, 2, 3, 4, 5].map((id) => `${id} on a`),
  ]);
  expect(await world.dispatch.run(work(6))).toBe("6 on a");
});

test("what fails for good fails alone", async () => {
  await using world = open(async ({ unit }) => {
    if (unit.id === 2) throw new AmalgamError("checkpoint_mismatch", "no such tensor");
    if (unit.id === 3) throw new AmalgamError("io_failed", "bad disk");
    return String(unit.id);
  });
  const all = await Promise.allSettled([1, 2, 3, 4].map((id) => world.dispatch.run(work(id))));
  const reasons = all.map((one) => (one.status === "fulfilled" ? one.value : AmalgamError.from(one.reason).code));
  expect(reasons).toEqual(["1", "checkpoint_mismatch", "io_failed", "4"]);
  expect(await world.dispatch.run(work(5))).toBe("5");
});

test("what fails is tried again elsewhere", async () => {
  const tried: string[] = [];
  await using world = open(async ({ agent, epoch }) => {
    tried.push(agent.address);
    if (epoch === 1) throw new AmalgamError("agent_lost", "gone");
    return "done";
  });
  expect(await world.dispatch.run(work(1))).toBe("done");
  expect(new Set(tried).size).toBe(2);
});

test("what no agent may run fails alone, with the reasons", async () => {
  const placement = { refuses: ({ id }: Dispatchable) => (id === 1 ? "it is too small" : undefined) };
  await using world = open(async ({ unit }) => String(unit.id), ["a"], placement);
  await expect(world.dispatch.run(work(1))).rejects.toThrow("Unit 1 can run on no agent: a: it is too small");
  expect(await world.dispatch.run(work(2))).toBe("2");
});

test("where agents are waited for, what none of them may run fails alone when the time is over", async () => {
  const clock = new VirtualClock();
  const placement = { refuses: ({ id }: Dispatchable) => (id === 1 ? "it is too small" : undefined) };
  const waiting = { clock, waitForAgentsMs: 1_000 };
  await using world = open(async ({ unit }) => String(unit.id), ["a"], placement, waiting);
  const refused = Promise.allSettled([world.dispatch.run(work(1))]);
  await clock.advance(1_100);
  expect(await refused).toMatchObject([
    { reason: { code: "usage", message: expect.stringContaining("a: it is too small") } },
  ]);
  expect(await world.dispatch.run(work(2))).toBe("2");
});

test("work that comes later waits for agents for as long, whoever gave up waiting before", async () => {
  const clock = new VirtualClock();
  const waiting = { clock, waitForAgentsMs: 1_000 };
  await using world = open(async ({ unit }) => String(unit.id), ["a"], undefined, waiting);
  const [agent = expect.fail("no agent")] = world.agents;
  agent.state = "connecting";
  world.change(agent);
  const controller = new AbortController();
  const first = Promise.allSettled([world.dispatch.run(work(1), controller.signal)]);
  await clock.advance(900);
  controller.abort(new AmalgamError("canceled", "not wanted"));
  expect(await first).toMatchObject([{ reason: { code: "canceled" } }]);
  const second = world.dispatch.run(work(2));
  await clock.advance(900);
  agent.state = "ready";
  world.change(agent);
  expect(await second).toBe("2");
});

test("what is not wanted any more is stopped, and makes room", async () => {
  let stopped = 0;
  await using world = open(
    async ({ unit, signal }) => {
      if (unit.id > 3) return "done";
      return untilAborted(signal).finally(() => {
        stopped += 1;
      });
    },
    ["a"],
  );
  const controller = new AbortController();
  // Two run, and one waits.
  const unwanted = [1, 2, 3].map((id) => world.dispatch.run(work(id), controller.signal));
  const wanted = world.dispatch.run(work(4));
  controller.abort(new AmalgamError("canceled", "not wanted"));
  for (const one of unwanted) await expect(one).rejects.toThrow("not wanted");
  expect(await wanted).toBe("done");
  expect(stopped).toBe(2);
});

test("without agents all fails, at once and later", async () => {
  const world = open(({ signal }) => untilAborted(signal), ["a"]);
  const running = world.dispatch.run(work(1));
  const [agent] = world.agents;
  if (agent !== undefined) world.lose(agent);
  await expect(running).rejects.toThrow("The agent is lost");
  await expect(world.dispatch.run(work(2))).rejects.toThrow("The agent is lost");
  await world[Symbol.asyncDispose]();
});

test("when it ends, so does all that runs", async () => {
  const world = open(({ signal }) => untilAborted(signal));
  const running = Promise.allSettled([1, 2, 3, 4, 5].map((id) => world.dispatch.run(work(id))));
  await world[Symbol.asyncDispose]();
  expect((await running).map(({ status }) => status)).toEqual(Array(5).fill("rejected"));
});
