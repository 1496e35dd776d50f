import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Random } from "../../../coordinator/sweep/search/random.js";
import { readTrials } from "../../../coordinator/sweep/store/store.js";
import { type RunningCommand, startAmalgam } from "../../support/command.js";
import {
  evidenceLines,
  scoreBits,
  startTrialAgent,
  stateOf,
  sweepHere,
  timelessTrials,
  withSweeps,
} from "./real-sweeps.js";
import { startTap, type TappedTrial } from "./trial-tap.js";

// A sweep of two hundred trials, whose agents and whose coordinator are killed in the middle, again and again, ends as one
// that nobody disturbs: no trial is lost, and nothing that is on record is run twice.

const trials = 200;
/** What nobody disturbs is run so far: it takes the same course, however long it is. */
const undisturbed = 60;
type Agent = Awaited<ReturnType<typeof startTrialAgent>>;

let place: Awaited<ReturnType<typeof withSweeps>>;
let steady: readonly Agent[];
let mortal: Agent;

const startMortal = (port?: number): Promise<Agent> => startTrialAgent(place.path, { name: "mortal", port });

beforeAll(async () => {
  place = await withSweeps();
  steady = await Promise.all(["steady"].map((name) => startTrialAgent(place.path, { name })));
  mortal = await startMortal();
});
afterAll(async () => {
  for (const agent of [...steady, mortal]) await agent[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

test("a sweep goes on where it was, whoever is killed and when (seed 6)", { timeout: 300_000 }, async () => {
  const file = await place.write("sweep.yaml", { trials });
  const shorter = await place.write("shorter.yaml", { trials: undisturbed });
  const [whole, killed] = [place.at("whole"), place.at("killed")];
  const addresses = [...steady, mortal].map(({ address }) => address);
  await sweepHere(shorter, whole, { agents: { kind: "running", addresses }, agentWords: [] });

  const taps = await Promise.all(steady.map(({ address }) => startTap(address)));
  const seen = (): readonly TappedTrial[] => taps.flatMap((tap) => [...tap.trials]);
  const words = [...taps, mortal].flatMap(({ address }) => ["--agent", address]);
  const start = (): RunningCommand =>
    startAmalgam(["sweep", file, "--out", killed, "--threads", "1", "--json", ...words]);
  const random = new Random(6, "kills");
  let recorded: ReadonlySet<string> = new Set();
  const pids: number[] = [];
  for (let life = 0; life < 3; life++) {
    const isLast = life === 2;
    const before = seen();
    const answered = new Set(before.filter(isAnswered).map(nameOf));
    await using command = start();
    pids.push(command.pid);
    await command.event("trial", 5 + random.integer(20));
    await mortal.kill();
    mortal = await startMortal(mortal.port);
    await command.event("trial", 40 + random.integer(20));
    if (!isLast) await command.kill();
    const { code, signal, stderr } = await command.ended;
    expect(isLast ? [code, stderr] : signal).toEqual(isLast ? [0, ""] : "SIGKILL");
    const again = seen()
      .slice(0)
      .filter((one) => !before.includes(one) && answered.has(nameOf(one)));
    expect(again.filter(({ request }) => recorded.has(weightsOf(request)))).toEqual([]);
    const known = await readTrials(killed);
    if (!isLast) expect(known.length).toBeLessThan(trials);
    // All that the command told of was on record when it died.
    const told = command.events.filter(({ event }) => event === "trial").map(({ trial }) => trial);
    expect(known.map(({ trial }) => trial)).toEqual(expect.arrayContaining(told));
    recorded = new Set(known.map(({ weights = "" }) => weights));
  }
  // What the killed ones had in the folder for temporary files is gone too.
  const left = (await readdir(tmpdir())).filter((name) => pids.some((pid) => name.startsWith(`amalgam-sweep-${pid}-`)));
  expect(left).toEqual([]);
  for (const tap of taps) await tap[Symbol.asyncDispose]();
  const records = await timelessTrials(killed);
  expect(records.map(({ trial, status }) => [trial, status])).toEqual(
    Array.from({ length: trials }, (_, i) => [i + 1, "done"]),
  );
  expect(records.slice(0, undisturbed)).toEqual(await timelessTrials(whole));
  const bits = await scoreBits(killed);
  const searched = (await evidenceLines(whole)).filter(({ trial }) => trial > 0);
  for (const { segment, scores } of searched) expect(bits.get(segment)).toEqual(scores);
  expect(searched.length).toBeGreaterThan(undisturbed);
  expect(await stateOf(killed)).toMatchObject({ state: "done", threads: 1 });
});

function isAnswered({ request, results }: TappedTrial): boolean {
  return results === request.tasks.reduce((total, { batches }) => total + batches.length, 0);
}

function weightsOf({ model }: TappedTrial["request"]): string {
  return Buffer.from(model?.digest ?? []).toString("hex");
}

/** Which merge, and on what. */
function nameOf({ request }: TappedTrial): string {
  const batches = request.tasks.flatMap((task) => task.batches.map((digest) => Buffer.from(digest).toString("hex")));
  return `${weightsOf(request)} ${createHash("sha256").update(batches.join()).digest("hex")}`;
}
