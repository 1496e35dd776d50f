import { expect, test } from "vitest";
import { spread } from "../../../../coordinator/lora/spread.js";
import { AmalgamError } from "../../../../shared/errors.js";

type State = "ready" | "lost";

/** An agent that is lost as soon as an `agent_lost` is reported of it. */
function fakeAgent(name: string, slots: number) {
  const agent = {
    ...{ name, slots, state: "ready" as State },
    report(error: AmalgamError): void {
      if (error.code === "agent_lost") agent.state = "lost";
    },
  };
  return agent;
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const tasks = Array.from({ length: 20 }, (_, task) => task);

test("spread() does every task once, in order, on all slots and no more", async () => {
  const done: number[] = [];
  const running = new Map<string, number>();
  const agents = [fakeAgent("a", 1), fakeAgent("b", 3)];
  let most = 0;
  await spread(tasks, agents, async (task, { name, slots }) => {
    done.push(task);
    running.set(name, (running.get(name) ?? 0) + 1);
    expect(running.get(name)).toBeLessThanOrEqual(slots);
    most = Math.max(
      most,
      [...running.values()].reduce((total, count) => total + count, 0),
    );
    await tick();
    running.set(name, (running.get(name) ?? 0) - 1);
  });
  expect(done).toEqual(tasks);
  expect(most).toBe(4);
});

test("spread() tries again what may pass, on the agents that are left", async () => {
  const done: [number, string][] = [];
  const agents = [fakeAgent("dies", 2), fakeAgent("lives", 1)];
  await spread(tasks, agents, async (task, { name }) => {
    await tick();
    if (name === "dies" && task > 3) throw new AmalgamError("agent_lost", "gone");
    done.push([task, name]);
  });
  expect(done.map(([task]) => task).toSorted((a, b) => a - b)).toEqual(tasks);
  expect(done.filter(([task]) => task > 3).every(([, name]) => name === "lives")).toBe(true);
});

test("spread() gives a task up after three attempts, and at once when it cannot pass", async () => {
  for (const [code, attempts] of [
    ["chunk_corrupt", 3],
    ["checkpoint_malformed", 1],
  ] as const) {
    let count = 0;
    const act = async (): Promise<void> => {
      count += 1;
      throw new AmalgamError(code, "broken");
    };
    await expect(spread([1], [fakeAgent("a", 2)], act)).rejects.toMatchObject({ code, message: "broken" });
    expect(count).toBe(attempts);
  }
});

test("spread() tells all that run when one has failed for good", async () => {
  const ended: unknown[] = [];
  const act = async (task: number, _: unknown, signal: AbortSignal): Promise<void> => {
    if (task === 1) throw new AmalgamError("usage", "refused");
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    ended.push(task);
    signal.throwIfAborted();
  };
  await expect(spread([0, 1, 2], [fakeAgent("a", 3)], act)).rejects.toThrow("refused");
  expect(ended).toEqual([0, 2]);
});

test("spread() fails when all agents are lost, and with the signal's reason when it is canceled", async () => {
  const lost = async (): Promise<void> => {
    throw new AmalgamError("agent_lost", "gone");
  };
  await expect(spread([1, 2], [fakeAgent("a", 1)], lost)).rejects.toMatchObject({ code: "agent_lost" });
  const controller = new AbortController();
  const stopped = spread(tasks, [fakeAgent("a", 1)], async () => tick(), controller.signal);
  controller.abort(new AmalgamError("canceled", "Interrupted"));
  await expect(stopped).rejects.toMatchObject({ code: "canceled", message: "Interrupted" });
});
