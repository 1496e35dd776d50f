import { afterAll, beforeAll, expect, test } from "vitest";
import { type RunningAgent, runAgent } from "../../../node-agent/main.js";
import { scoreBits, sweepHere, timelessTrials, withSweeps } from "./real-sweeps.js";

// The same sweep takes the same course, with the same bits in every score, on one agent or five.

let place: Awaited<ReturnType<typeof withSweeps>>;
let agents: readonly RunningAgent[];

beforeAll(async () => {
  place = await withSweeps();
  const names = ["one", "two", "three", "four", "five"];
  const options = { roots: [place.path], slots: 1, evalThreads: 1, trialMemoryBytes: 64e6 };
  agents = await Promise.all(names.map((name) => runAgent({ ...options, name })));
});
afterAll(async () => {
  for (const agent of agents) await agent.close();
  await place[Symbol.asyncDispose]();
});

test("on one agent and on five", async () => {
  const trials = 18;
  const file = await place.write("sweep.yaml", { trials, search: "asha", tasks: ", rungs: [3, 6]" });
  const run = async (count: number) => {
    const folder = place.at(`on-${count}`);
    const addresses = agents.slice(0, count).map(({ address }) => address);
    const result = await sweepHere(file, folder, { agents: { kind: "running", addresses }, agentWords: [] });
    return {
      result: { ...result, folder, seconds: 0 },
      trials: await timelessTrials(folder),
      bits: await scoreBits(folder),
    };
  };
  const [one, five] = [await run(1), await run(5)];
  expect(five.trials).toEqual(one.trials);
  expect(five.bits).toEqual(one.bits);
  expect({ ...five.result, folder: one.result.folder }).toEqual(one.result);
  expect(one.trials).toHaveLength(trials);
  expect(new Set(one.trials.map(({ loss }) => loss)).size).toBeGreaterThan(5);
});
