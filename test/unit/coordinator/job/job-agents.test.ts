import { expect, test } from "vitest";
import type { Agent, Agents } from "../../../../coordinator/dispatch/agents.js";
import type { Located } from "../../../../coordinator/dispatch/locate.js";
import type { AgentState } from "../../../../coordinator/dispatch/states.js";
import { JobAgents, type Look } from "../../../../coordinator/job/job-agents.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { VirtualClock } from "../../../simulation/virtual-clock.js";

const sight: Located = { agent: "a:1", has: () => true, sharesOutput: true };

/** One agent whose state the test sets, and the job's view of it. */
function world(look: Look) {
  const clock = new VirtualClock();
  const listeners = new Set<(agent: Agent) => void>();
  const lost: AmalgamError[] = [];
  const agent = {
    address: "a:1",
    state: "ready" as AgentState,
    report: () => undefined,
    lose: (error: AmalgamError) => {
      lost.push(error);
      agent.become("lost");
    },
    become(state: AgentState) {
      agent.state = state;
      for (const listener of listeners) listener(agent as unknown as Agent);
    },
  };
  const agents = {
    list: [agent],
    onChange: (listener: (changed: Agent) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  } as unknown as Agents;
  const told: AgentState[] = [];
  const job = new JobAgents(agents, look, clock);
  job.onChange(({ state }) => told.push(state));
  return { clock, agent, job, told, lost, stateNow: () => job.list[0]?.state };
}

test("an agent takes units once it is known what it sees, and looks anew whenever it was away", async () => {
  let looks = 0;
  const { clock, agent, stateNow, told } = world(() => {
    looks += 1;
    return Promise.resolve(sight);
  });
  expect(stateNow()).toBe("connecting");
  await clock.advance(0);
  expect(stateNow()).toBe("ready");
  agent.become("connecting");
  agent.become("ready");
  expect(stateNow()).toBe("connecting");
  await clock.advance(0);
  expect([stateNow(), looks]).toEqual(["ready", 2]);
  expect(told.at(-1)).toBe("ready");
});

test("one that cannot say what it sees is asked again, ever more rarely, and keeps nobody from ending", async () => {
  let looks = 0;
  const { clock, job, stateNow } = world(() => {
    looks += 1;
    return Promise.reject(new AmalgamError("stalled", "Its file system hangs"));
  });
  await clock.advance(3_600_000);
  expect(looks).toBeGreaterThan(30);
  expect(looks).toBeLessThan(100);
  expect(stateNow()).toBe("connecting");
  const ended = job[Symbol.asyncDispose]();
  await clock.advance(0);
  await ended;
  const before = looks;
  await clock.advance(3_600_000);
  expect(looks).toBe(before);
});

test("a look that hangs ends with the job", async () => {
  const { job } = world((_, signal) => {
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(new AmalgamError("canceled", "Over")));
    });
  });
  await job[Symbol.asyncDispose]();
});

test.each(["fenced", "usage", "path_refused"] as const)(
  "an agent that answers %s is given up with that reason",
  async (code) => {
    const { clock, lost, stateNow } = world(() => Promise.reject(new AmalgamError(code, "No")));
    await clock.advance(0);
    expect(lost.map((error) => error.code)).toEqual([code]);
    expect(stateNow()).toBe("lost");
  },
);
