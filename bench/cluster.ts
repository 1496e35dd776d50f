import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { Cluster, type ClusterOptions } from "../test/support/cluster/cluster.js";
import { natsPath, whyNoNats } from "../test/support/nats-server.js";
import { makeModels } from "./checkpoints.js";
import { type BenchMethod, writeRecipe } from "./recipes.js";
import type { Table } from "./table.js";

/** Runs with a cluster of processes of its own, or says why there is none. */
export async function withCluster(
  title: string,
  options: Omit<ClusterOptions, "nats">,
  work: (cluster: Cluster) => Promise<readonly Table[]>,
): Promise<readonly Table[]> {
  const reason = whyNoNats();
  if (reason !== undefined) return [{ title, columns: [`Not measured: ${reason}`], rows: [] }];
  mkdirSync(options.folder, { recursive: true });
  await using cluster = await Cluster.start({ ...options, nats: natsPath() });
  return await work(cluster);
}

/** A recipe over models of about so many bytes, with paths that hold from anywhere. */
export function clusterRecipe(
  folder: string,
  method: BenchMethod,
  modelBytes: number,
): { file: string; bytes: number } {
  const { file, models } = writeRecipe(folder, method, makeModels(folder, modelBytes));
  const output = models[0]?.bytes ?? 0;
  return { file, bytes: models.reduce((total, { bytes }) => total + bytes, output) };
}

/** Submits a recipe, follows it to its end, and removes the output. Resolves with the seconds that the job took. */
export async function runJob(cluster: Cluster, recipe: string, output: string, ...argv: string[]): Promise<number> {
  await using watch = cluster.start("submit", recipe, output, "--watch", "--json", ...argv);
  const submitted = await watch.event("submitted").then(() => performance.now());
  await watch.event("done");
  const seconds = (performance.now() - submitted) / 1000;
  rmSync(output, { recursive: true });
  return seconds;
}

/** How far a job is, by what is on the disk. */
export interface Position {
  /** Of the coordinator that leads it: grows with every change of hands. */
  readonly generation: number;
  /** Of the journal. It grows with every unit that is accepted. */
  readonly bytes: number;
  readonly journal: string;
}

/** Undefined before the first coordinator has begun, and when the job is over. */
export function positionOf(output: string): Position | undefined {
  const root = `${output}.amalgam-partial`;
  try {
    const generations = readdirSync(root).map((name) => Number(/^journal\.(\d+)\.jsonl$/.exec(name)?.[1] ?? 0));
    const generation = Math.max(0, ...generations);
    if (generation === 0) return undefined;
    const journal = join(root, `journal.${generation}.jsonl`);
    return { generation, journal, bytes: statSync(journal).size };
  } catch {
    // It was renamed, or removed, between two looks.
    return undefined;
  }
}

/** What was added to the journal since. */
export async function addedSince({ bytes }: Position, now: Position): Promise<string> {
  if (now.bytes <= bytes) return "";
  const handle = await open(now.journal).catch(() => undefined);
  if (handle === undefined) return "";
  try {
    const added = Buffer.alloc(now.bytes - bytes);
    await handle.read(added, 0, added.length, bytes);
    return added.toString();
  } finally {
    await handle.close();
  }
}
