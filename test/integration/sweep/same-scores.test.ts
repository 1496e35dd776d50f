import { afterAll, beforeAll, expect, test } from "vitest";
import { scoreBits, startTrialAgent, sweepHere, timelessTrials, withSweeps } from "./real-sweeps.js";

// The same sweep takes the same course, with the same bits in every score, on one agent or five.

let place: Awaited<ReturnType<typeof withSweeps>>;
let agents: readonly Awaited<ReturnType<typeof startTrialAgent>>[];

beforeAll(async () => {
  place = await withSweeps();
  const names = ["one", "two", "three", "four", "five"];
  agents = await Promise.all(names.map((name) => startTrialAgent(place.path, { name })));
});
afterAll(async () => {
  for (const agent of agents) await agent[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

test.each([
  { name: "cma-es", text: { trials: 16 } },
  { name: "tpe", text: { trials: 16, search: "tpe" } },
  { name: "asha", text: { trials: 24, search: "asha", tasks: ", rungs: [3, 6]" } },
])("$name on one agent and on five", async ({ name, text }) => {
  const file = await place.write(`${name}.yaml`, text);
  const run = async (count: number) => {
    const folder = place.at(`${name}-${count}`);
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
  expect(one.trials).toHaveLength(text.trials);
  expect(new Set(one.trials.map(({ loss }) => loss)).size).toBeGreaterThan(5);
});
