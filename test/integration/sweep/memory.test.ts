import { lstatSync, readdirSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readTrials } from "../../../coordinator/sweep/store/store.js";
import { childrenOf } from "../../support/command.js";
import { jsonLines } from "../../support/prepare.js";
import { scoreBits, startTrialAgent, sweepHere, timelessTrials, withSweeps } from "./real-sweeps.js";
import { startTap } from "./trial-tap.js";

// An agent's memory for trials is a limit, whatever does not fit in it, and is given back however the agent ends.

/** Room for two merged models and a part of the rest: three models of a hundred kilobytes, and as much of batches. */
const memoryBytes = 300_000;

let place: Awaited<ReturnType<typeof withSweeps>>;
let memory: string;

beforeAll(async () => {
  place = await withSweeps();
  memory = place.at("memory");
  await mkdir(memory);
  const words = (i: number): string => Array.from({ length: 24 }, (_, k) => `w${(i * (k + 3) + k * k) % 97}`).join(" ");
  const rows = Array.from({ length: 480 }, (_, i) => ({ text: words(i), label: ["bad", "fair", "good"][i % 3] }));
  await writeFile(place.at("labels.jsonl"), jsonLines(rows));
});
afterAll(() => place[Symbol.asyncDispose]());

/** Bytes of all files below a folder, as they take room. */
function takenBy(folder: string): number {
  let bytes = 0;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats?.isDirectory() === true) bytes += takenBy(path);
    else bytes += 512 * (stats?.blocks ?? 0);
  }
  return bytes;
}

test("a sweep that does not fit runs within the limit, to the same bits, and leaves nothing behind", {
  timeout: 180_000,
}, async () => {
  const file = await place.write("sweep.yaml", { trials: 3 });
  const [roomy, tight] = [place.at("roomy"), place.at("tight")];
  await sweepHere(file, roomy);
  const words = ["--trial-folder", memory, "--trial-memory", String(memoryBytes)];
  await using agent = await startTrialAgent(place.path, { words });
  await using tap = await startTap(agent.address);
  let most = 0;
  const watch = setInterval(() => {
    try {
      most = Math.max(most, takenBy(memory));
    } catch {
      // A folder that has gone meanwhile.
    }
  }, 10);
  await sweepHere(file, tight, { agents: { kind: "running", addresses: [tap.address] }, agentWords: [] });
  clearInterval(watch);
  expect(await timelessTrials(tight)).toEqual(await timelessTrials(roomy));
  expect(await scoreBits(tight)).toEqual(await scoreBits(roomy));
  const facts = (await readTrials(tight)).map((record) => record.facts);
  expect(new Set(facts.map((one) => one?.budgetBytes))).toEqual(new Set([memoryBytes]));
  expect(Math.max(...facts.map((one) => one?.peakBytes ?? Infinity))).toBeLessThanOrEqual(memoryBytes);
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(memoryBytes);
  // The batches of a trial are more than may be held at once: it came in parts, and they were sent again and again.
  expect(tap.trials.length).toBeGreaterThan(2 * facts.length);
  expect(tap.counts.keeps).toBeGreaterThan(facts.length);

  expect(readdirSync(memory)).toHaveLength(1);
  const children = await childrenOf(agent.pid);
  await agent.kill();
  expect(readdirSync(memory)).toHaveLength(1);
  await using next = await startTrialAgent(place.path, { words });
  expect(readdirSync(memory)).toEqual([]);
  const short = await place.write("short.yaml", { trials: 2 });
  await sweepHere(short, place.at("again"), { agents: { kind: "running", addresses: [next.address] }, agentWords: [] });
  expect(readdirSync(memory)).toHaveLength(1);
  await next.kill("SIGTERM");
  expect(readdirSync(memory)).toEqual([]);
  await expect.poll(() => children.filter(isAlive), { timeout: 10_000 }).toEqual([]);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
