import { readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readTrials } from "../../../coordinator/sweep/store/store.js";
import { AmalgamError } from "../../../shared/errors.js";
import { type RunningCommand, startAmalgam } from "../../support/command.js";
import { fill, noSmallDisk, withSmallDisk } from "../../support/small-disk.js";
import { scoreBits, startTrialAgent, stateOf, sweepHere, timelessTrials, withSweeps } from "./real-sweeps.js";

// What stops a sweep is said in one line, and the same command goes on from there; or it says what is not as it was.

const trials = 16;

let place: Awaited<ReturnType<typeof withSweeps>>;
let agent: Awaited<ReturnType<typeof startTrialAgent>>;
let file: string;
let golden: string;

beforeAll(async () => {
  place = await withSweeps();
  agent = await startTrialAgent(place.path);
  file = await place.write("sweep.yaml", { trials });
  golden = place.at("golden");
  await sweepHere(file, golden, on());
});
afterAll(async () => {
  await agent[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

function on() {
  return { agents: { kind: "running", addresses: [agent.address] }, agentWords: [] } as const;
}

function start(folder: string, ...words: readonly string[]): RunningCommand {
  const more = ["--out", folder, "--threads", "1", "--json", "--agent", agent.address, ...words];
  return startAmalgam(["sweep", file, ...more], { leader: true });
}

async function failureOf(promise: Promise<unknown>): Promise<AmalgamError> {
  return promise.then(
    () => expect.fail("It did not fail"),
    (reason: unknown) => AmalgamError.from(reason),
  );
}

async function expectGolden(folder: string): Promise<void> {
  expect(await timelessTrials(folder)).toEqual(await timelessTrials(golden));
  expect(await scoreBits(folder)).toEqual(await scoreBits(golden));
}

test("Ctrl-C keeps the trials; nobody else may sweep there meanwhile; resume goes on, and once it is done does nothing", {
  timeout: 120_000,
}, async () => {
  const folder = place.at("interrupted");
  await using command = start(folder);
  await command.event("trial", 3);
  const second = await failureOf(sweepHere(file, folder, on()));
  expect(second).toMatchObject({ code: "output_refused", message: expect.stringContaining("is at it already") });
  process.kill(-command.pid, "SIGINT");
  const { code, stderr } = await command.ended;
  expect([code, stderr]).toEqual([
    130,
    "Interrupted\nThe trials so far are kept: run the same command again to go on\n",
  ]);
  expect((await readTrials(folder)).length).toBeLessThan(trials);
  expect(await stateOf(folder)).toMatchObject({ state: "unfinished", threads: 1 });
  // Without "--threads": the sweep knows on how many it was begun.
  await using resumed = startAmalgam(["sweep", "resume", folder, "--json", "--agent", agent.address]);
  expect(await resumed.ended).toMatchObject({ code: 0, stderr: "" });
  await expectGolden(folder);
  await using again = startAmalgam(["sweep", "resume", folder, "--agent", "127.0.0.1:1"]);
  const { stdout, ...outcome } = await again.ended;
  expect(outcome).toMatchObject({ code: 0, stderr: "note: the sweep is finished: nothing was run\n" });
  expect(stdout).toContain(`cma-es: ${trials} trials`);
});

test("a full disk ends the sweep by name, and with room again it goes on", { timeout: 120_000 }, async ({ skip }) => {
  await using disk = await withSmallDisk("8m");
  if (disk === undefined) return skip(noSmallDisk);
  const folder = join(disk.path, "sweep");
  await using command = start(folder);
  await command.event("trial", 3);
  const free = await fill(disk.path);
  const { code, stderr } = await command.ended;
  expect([code, stderr]).toEqual([1, expect.stringContaining("no space left")]);
  expect(stderr).toContain(folder);
  await free();
  await sweepHere(file, folder, on());
  await expectGolden(folder);
});

test("a checkpoint that is written anew in the middle ends the sweep by name, and its trials do not mix", {
  timeout: 120_000,
}, async () => {
  const folder = place.at("changed");
  const weights = join(place.path, "short", "model-00001-of-00002.safetensors");
  await using command = start(folder);
  await command.event("trial", 3);
  await utimes(weights, 1, 1);
  const { code, stderr } = await command.ended;
  expect([code, stderr]).toEqual([1, expect.stringContaining(`"${weights}"`)]);
  expect(stderr).toContain("changed");
  const refused = await failureOf(sweepHere(file, folder, on()));
  expect(refused.message).toContain("its models are not what they were");
  const anew = await sweepHere(file, folder, { ...on(), overwrite: true });
  expect(anew.trials).toEqual({ total: trials, failed: 0 });
  const scores = ({ objectives, metrics }: Awaited<ReturnType<typeof timelessTrials>>[number]) => [objectives, metrics];
  expect((await timelessTrials(folder)).map(scores)).toEqual((await timelessTrials(golden)).map(scores));
});

test("data that has changed since is told, and scores of both do not mix", { timeout: 120_000 }, async () => {
  const folder = place.at("data");
  const own = await place.write("data.yaml", { trials: 4 });
  await sweepHere(own, folder, on());
  const data = place.at("labels.jsonl");
  const before = await readFile(data, "utf8");
  await writeFile(data, before.replace("bad", "good"));
  const longer = await place.write("data.yaml", { trials: 6 });
  const refused = await failureOf(sweepHere(longer, folder, on()));
  expect(refused).toMatchObject({ code: "output_refused" });
  expect(refused.message).toContain("its data, graphs or threads are not what they were");
  await writeFile(data, before);
  expect((await sweepHere(longer, folder, on())).trials.total).toBe(6);
});
