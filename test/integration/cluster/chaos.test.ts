import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, realpath, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFailed, test } from "vitest";
import { narrow } from "../../../shared/checkpoint/convert.js";
import { type TestTensor, withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import { readKeptJournal } from "../../support/cluster/bulky-cluster.js";
import { Chaos } from "../../support/cluster/chaos.js";
import { Cluster, noHosts } from "../../support/cluster/cluster.js";
import { faultsOf } from "../../support/cluster/faults.js";
import { amalgam } from "../../support/command.js";
import { triesAllFaults } from "../../support/faults.js";
import { mergeLocally } from "../../support/merges.js";
import { natsPath, whyNoNats } from "../../support/nats-server.js";
import { hashDirectory } from "../../support/plans.js";
import { normals, seeded } from "../../support/random.js";

// One job, and everything that can happen to a cluster, at random and at once.

const seed = Number(process.env["AMALGAM_CHAOS_SEED"] ?? Date.now() % 1_000_000);
const [faults, units] = triesAllFaults ? [200, 600] : [40, 150];
const unitBytes = 64 << 10;
/** Names for the two models: to read and write so much takes five agents that are well longer than all the faults. */
const inputs = 9;
const ioLimit = "1MiB";
const everyMs = 320;

const reason = whyNoNats() ?? (noHosts() && `on loopback nothing can be cut: ${noHosts()}`);

test("the same seed says the same faults", () => {
  const targets = { nats: "nats", coordinators: ["c1", "c2"], agents: ["a1", "a2"], canCut: true };
  const first = (from: number): readonly unknown[] => {
    const all = faultsOf(from, targets, everyMs);
    return Array.from({ length: faults }, () => all.next().value);
  };
  expect(first(seed)).toEqual(first(seed));
  expect(first(seed)).not.toEqual(first(seed + 1));
});

test.skipIf(reason !== undefined)(
  `${faults} faults, seed ${seed}: the job ends as if nothing had happened${reason === undefined ? "" : ` (${reason})`}`,
  { timeout: 600_000 },
  async () => {
    await using scratch = await withTempDir();
    const folder = await realpath(scratch.path);
    const recipe = await writeModels(join(folder, "models"));
    await mergeLocally(recipe, join(folder, "golden"));
    const golden = await hashDirectory(join(folder, "golden"));
    const output = join(folder, "outputs", "merged");
    const journals = join(folder, "journals");
    await mkdir(dirname(output));
    await mkdir(join(folder, "empty"));

    // Agents 1 to 3 see everything, 4 does not see the output and streams, 5 sees nothing and reads from the others. The
    // sixth has no limit, and comes when all is over.
    const seen = ["all", "all", "all", "models", "empty", "all"];
    await using cluster = await Cluster.start({
      folder,
      nats: natsPath(),
      agents: seen.length,
      rootsOf: (agent) => [seen[agent - 1] === "all" ? folder : join(folder, seen[agent - 1] ?? "")],
      agentOptions: (agent) => ["--grace", "3", ...(agent === seen.length ? [] : ["--io-limit", ioLimit])],
      coordinatorOptions: ["--keep-journals", journals],
    });
    const reserve = cluster.agent(seen.length);
    await reserve.kill("SIGTERM");
    const chaos = new Chaos(cluster, { seed, everyMs, agents: cluster.agents.slice(0, -1).map(({ name }) => name) });
    onTestFailed(() => {
      process.stderr.write(`Chaos with seed ${seed}, again with AMALGAM_CHAOS_SEED=${seed}:\n${chaos.log}\n`);
      for (const node of cluster.nodes) process.stderr.write(`--- ${node.name}\n${node.output.slice(-4_000)}\n`);
    });

    const job = untilDone(cluster, recipe, output, chaos);
    await job.begun;
    await chaos.run(faults);
    expect(existsSync(output), "The job was over before the faults were").toBe(false);
    const accepted = await acceptedSoFar(output);
    chaos.note(`All is well again, with ${accepted} of ${units} units done`);
    await cluster.heal();
    await reserve.start();
    await job.done;
    chaos.note("The job is done");
    process.stdout.write(
      `Chaos with seed ${seed}: ${chaos.injected} faults, ${accepted} of ${units} units done meanwhile\n`,
    );

    const { ino } = await stat(output);
    await sleep(3_000);
    expect(await hashDirectory(output)).toEqual(golden);
    expect((await stat(output)).ino).toBe(ino);
    await expectEachPieceOnce(journals, output);
    expect((await amalgam("gc", dirname(output))).code).toBe(0);
    expect(await readdir(dirname(output))).toEqual(["merged"]);
    expect(chaos.surprises).toEqual([]);
    chaos.expectEnd();
  },
);

/** Two models of so many tensors of half a block, each a unit of its own; no two of them are alike. */
async function writeModels(folder: string): Promise<string> {
  for (const [model, name] of ["a", "b"].entries()) {
    const stretch = Buffer.from(narrow("BF16", normals(99_991, seeded(model), 0.05)).buffer);
    const tensors = new Map<string, TestTensor>();
    for (let unit = 0; unit < units; unit += 1) {
      const at = (unit * 7_919 * 2) % (stretch.length - unitBytes);
      const bytes = Buffer.from(stretch.subarray(at, at + unitBytes));
      tensors.set(`model.layers.${unit}.weight`, { dtype: "BF16", shape: [unitBytes / 2], bytes });
    }
    await writeCheckpoint(join(folder, name), tensors, { config: { model_type: "test" } });
  }
  for (let i = 0; i < inputs; i += 1) await symlink(join(folder, i % 2 === 0 ? "a" : "b"), join(folder, `m${i}`));
  const recipe = join(folder, "linear.yaml");
  const entries = Array.from({ length: inputs }, (_, i) => `  - { model: m${i}, parameters: { weight: 0.${i + 1} } }`);
  await writeFile(recipe, ["merge_method: linear", "models:", ...entries].join("\n"));
  return recipe;
}

/**
 * What a user does: submits the recipe, watches, and submits it again when told so, since NATS may lose a job while
 * nobody leads it.
 */
function untilDone(cluster: Cluster, recipe: string, output: string, chaos: Chaos) {
  const submit = async (isBegun?: () => void): Promise<boolean> => {
    await using watch = cluster.start("submit", recipe, output, "--watch", "--json", "--unit-size", "1");
    if (isBegun !== undefined) void watch.line((line) => /"unitsDone":[1-9]/.test(line)).then(isBegun, () => undefined);
    const { code, stderr, stdout } = await watch.ended;
    if (code === 0) return true;
    chaos.note(`submit: ${stderr.trim()}`);
    const mayHelp = /submit it again|in NATS at|to NATS at|works on it/.test(stderr);
    if (!mayHelp) throw new Error(`The job failed: ${stderr}${stdout.slice(-2_000)}`);
    return false;
  };
  let done: Promise<void> = Promise.resolve();
  const begun = new Promise<void>((resolve, reject) => {
    const insist = async (): Promise<void> => {
      if (await submit(resolve)) return;
      do await sleep(1_000);
      while (!(await submit()));
    };
    done = insist();
    done.catch(reject);
  });
  return { begun, done };
}

/** Every element of the output was accepted once, and no acceptance was taken back. */
async function expectEachPieceOnce(journals: string, output: string): Promise<void> {
  const records = await readKeptJournal(journals, output);
  const pieces = records
    .filter((record) => record.type === "piece")
    .map(({ tensor, begin, end }) => [tensor, begin, end]);
  expect(pieces.toSorted(([a = 0], [b = 0]) => a - b)).toEqual(
    Array.from({ length: units }, (_, tensor) => [tensor, 0, unitBytes / 2]),
  );
  expect(records.filter(({ type }) => type !== "piece" && type !== "job")).toEqual([]);
}

async function acceptedSoFar(output: string): Promise<number> {
  const staging = `${output}.amalgam-partial`;
  const journals = (await readdir(staging)).filter((name) => /^journal\.\d+\.jsonl$/.test(name)).toSorted();
  // It may be changing hands right now.
  const text = await readFile(join(staging, journals.at(-1) ?? ""), "utf8").catch(() => "");
  return text.split('"type":"piece"').length - 1;
}
