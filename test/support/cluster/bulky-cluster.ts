import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { type JournalRecord, parseRecord } from "../../../coordinator/assemble/parse-record.js";
import { type BulkyRecipe, blockBytes, bulkyUnits, writeBulky } from "../bulky.js";
import { withTempDir } from "../checkpoints.js";
import { amalgam, type JsonEvent, type RunningCommand } from "../command.js";
import { mergeLocally } from "../merges.js";
import { hashDirectory } from "../plans.js";
import { Cluster, type ClusterOptions } from "./cluster.js";
import type { NodeProcess } from "./node-process.js";

export interface BulkyClusterOptions extends Omit<ClusterOptions, "folder"> {
  /** Where the folders of models and outputs are made. @default a new one, removed at the end */
  readonly folder?: string;
  /** What each agent reads and writes in a second. @default "4MB" */
  readonly ioLimit?: string;
  /** Roots below the cluster's folder, by agent. @default all of it */
  readonly sightOf?: (agent: number) => readonly ("models" | "outputs" | "empty")[];
  /** Folders elsewhere that every agent sees. */
  readonly extraRoots?: readonly string[];
}

/** What a job of the bulky models is asked for besides. */
export interface BulkyJobOptions {
  readonly recipe?: BulkyRecipe;
  readonly argv?: readonly string[];
  /** Output bytes per unit. @default one block */
  readonly unitBytes?: number;
  /** @default a folder of its own below the cluster's */
  readonly output?: string;
  /** The same recipe in another file, with models of its own. */
  readonly recipeFile?: string;
}

/** For the slowest job, with every fault that it can meet: below the time that a test has. */
const patienceMs = 90_000;

/** A cluster with the bulky models, and what undisturbed merges make of them. */
export class BulkyCluster implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly folder: string;
  readonly recipes: Record<BulkyRecipe, string>;
  readonly #golden = new Map<BulkyRecipe, Record<string, string>>();
  readonly #scratch: AsyncDisposable | undefined;
  #jobs = 0;

  private constructor(parts: {
    cluster: Cluster;
    folder: string;
    recipes: Record<BulkyRecipe, string>;
    scratch: AsyncDisposable | undefined;
  }) {
    this.cluster = parts.cluster;
    this.folder = parts.folder;
    this.recipes = parts.recipes;
    this.#scratch = parts.scratch;
  }

  static async start(options: BulkyClusterOptions): Promise<BulkyCluster> {
    const {
      ioLimit = "4MB",
      sightOf,
      extraRoots = [],
      agentOptions = () => [],
      coordinatorOptions = [],
      ...rest
    } = options;
    const scratch = options.folder === undefined ? await withTempDir() : undefined;
    const folder = await realpath(options.folder ?? scratch?.path ?? "");
    for (const name of ["models", "outputs", "empty"]) await mkdir(join(folder, name), { recursive: true });
    const recipes = await writeBulky(join(folder, "models"));
    const cluster = await Cluster.start({
      ...rest,
      folder,
      rootsOf: (agent) => [...(sightOf?.(agent).map((name) => join(folder, name)) ?? [folder]), ...extraRoots],
      agentOptions: (agent) => ["--io-limit", ioLimit, ...agentOptions(agent)],
      coordinatorOptions: ["--keep-journals", join(folder, "journals"), ...coordinatorOptions],
    });
    return new BulkyCluster({ cluster, folder, recipes, scratch });
  }

  /** What one process makes of the recipe alone. */
  async golden(recipe: BulkyRecipe = "linear"): Promise<Record<string, string>> {
    const known = this.#golden.get(recipe);
    if (known !== undefined) return known;
    const output = join(this.folder, `golden-${this.#golden.size}`);
    await mergeLocally(this.recipes[recipe], output, { slots: 2 });
    const hashes = await hashDirectory(output);
    this.#golden.set(recipe, hashes);
    return hashes;
  }

  /** Submits a job and follows it. */
  async begin(options: BulkyJobOptions = {}): Promise<BulkyJob> {
    const { recipe = "linear", argv = [], unitBytes = blockBytes } = options;
    const golden = await this.golden(recipe);
    this.#jobs += 1;
    const output = options.output ?? join(this.folder, "outputs", `job-${this.#jobs}`, `merged-${this.#jobs}`);
    await mkdir(dirname(output), { recursive: true });
    const words = ["--watch", "--json", "--unit-size", String(unitBytes), ...argv];
    const watch = this.cluster.start("submit", options.recipeFile ?? this.recipes[recipe], output, ...words);
    const id = String((await watch.event("submitted"))["job"]);
    return new BulkyJob({ id, output, watch, golden, cluster: this.cluster, journals: join(this.folder, "journals") });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
    await this.#scratch?.[Symbol.asyncDispose]();
  }
}

/** A job that somebody at the host "client" follows to its end. */
export class BulkyJob implements AsyncDisposable {
  readonly id: string;
  readonly output: string;
  readonly watch: RunningCommand;
  readonly #golden: Record<string, string>;
  readonly #cluster: Cluster;
  readonly #journals: string;

  constructor(parts: {
    id: string;
    output: string;
    watch: RunningCommand;
    golden: Record<string, string>;
    cluster: Cluster;
    journals: string;
  }) {
    this.id = parts.id;
    this.output = parts.output;
    this.watch = parts.watch;
    this.#golden = parts.golden;
    this.#cluster = parts.cluster;
    this.#journals = parts.journals;
  }

  /** Resolves when so many units were finished, as far as whoever follows it has heard. */
  async unitsDone(count: number): Promise<void> {
    await this.watch.line((line) => {
      const { event, unitsDone } = JSON.parse(line) as JsonEvent;
      return event === "progress" && Number(unitsDone) >= count;
    });
  }

  /** Resolves when an agent was given so many units. */
  async unitsOn(agent: NodeProcess, count = 1): Promise<void> {
    await this.watch.line((line) => {
      const event = JSON.parse(line) as JsonEvent;
      return event.event === "unit started" && event["agent"] === agent.name;
    }, count);
  }

  /** Resolves when somebody leads it, as far as whoever follows it has heard. */
  async led(): Promise<void> {
    await this.watch.line((line) => (JSON.parse(line) as JsonEvent)["leader"] !== undefined);
  }

  count(event: string): number {
    return this.watch.events.filter((one) => one.event === event).length;
  }

  /** The coordinator that leads it, as far as whoever follows it has heard. */
  get leader(): NodeProcess {
    const name = this.watch.events.findLast(({ event, leader }) => event === "state" && leader !== undefined)?.[
      "leader"
    ];
    const found = this.#cluster.coordinators.find((coordinator) => coordinator.name === name);
    if (found === undefined) throw new Error(`Nobody leads job ${this.id}`);
    return found;
  }

  /** The other one of two coordinators. */
  get standby(): NodeProcess {
    const { leader } = this;
    const found = this.#cluster.coordinators.find((coordinator) => coordinator !== leader);
    if (found === undefined) throw new Error(`Nobody stands by for job ${this.id}`);
    return found;
  }

  /** Follows it to its end, where everything must be as if nothing had happened. */
  async expectDone(): Promise<void> {
    const giveUp = new AbortController();
    const outcome = await Promise.race([this.watch.ended, sleep(patienceMs, undefined, { signal: giveUp.signal })]);
    giveUp.abort();
    if (outcome === undefined) throw new Error(`Job ${this.id} does not end\n${this.#story()}`);
    const { code, stderr } = outcome;
    if (code !== 0) throw new Error(`Job ${this.id} ended with ${code}: ${stderr}\n${this.#story()}`);
    await this.expectGolden();
  }

  /** The bytes are golden, every piece was committed once, and nothing is left beside the output. */
  async expectGolden(): Promise<void> {
    expect(await hashDirectory(this.output)).toEqual(this.#golden);
    expectOneRecordPerPiece(await readKeptJournal(this.#journals, this.output));
    const outcome = await amalgam("gc", dirname(this.output));
    expect([outcome.code, outcome.stderr]).toEqual([0, ""]);
    expect(await readdir(dirname(this.output))).toEqual([basename(this.output)]);
  }

  /** Whoever was frozen or gone comes back, and changes nothing any more. */
  async expectNoEchoes(): Promise<void> {
    const published = await this.published();
    await this.#cluster.heal();
    await sleep(1_000);
    expect(await this.published()).toBe(published);
    expect(await hashDirectory(this.output)).toEqual(this.#golden);
    expect(await readdir(dirname(this.output))).toEqual([basename(this.output)]);
  }

  /** What is known of it, for whoever has to find out why it failed. */
  #story(): string {
    const told = this.watch.events.filter(({ level }) => level !== "debug").slice(-30);
    const nodes = this.#cluster.nodes.map(({ name, output }) => `${name}:\n${output.slice(-1_500)}`);
    return [...told.map((event) => JSON.stringify(event)), ...nodes].join("\n");
  }

  /** Changes when the output is published again. */
  async published(): Promise<string> {
    const { ino, ctimeMs } = await stat(this.output);
    return `${ino} ${ctimeMs}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.watch[Symbol.asyncDispose]();
  }
}

/** The records of the job that made an output, from where coordinators keep journals. */
export async function readKeptJournal(folder: string, output: string): Promise<readonly JournalRecord[]> {
  const names = existsSync(folder) ? await readdir(folder) : [];
  const kept = names.filter((name) => name.startsWith(`${basename(output)}-`) && name.endsWith(".jsonl"));
  expect(kept).toHaveLength(1);
  const lines = (await readFile(join(folder, kept[0] ?? ""), "utf8")).trimEnd().split("\n");
  return lines.map((line) => parseRecord(line) ?? expect.fail(`A line of ${kept[0]} is damaged: ${line}`));
}

/** Every element of the bulky output is in one piece that was accepted and not taken back. */
function expectOneRecordPerPiece(records: readonly JournalRecord[]): void {
  const pieces = new Set<string>();
  let bytes = 0;
  for (const record of records) {
    if (record.type === "dropped") pieces.delete(`${record.tensor} ${record.begin}-${record.end}`);
    if (record.type !== "piece") continue;
    const key = `${record.tensor} ${record.begin}-${record.end}`;
    expect(pieces).not.toContain(key);
    pieces.add(key);
    bytes += record.bytes;
  }
  expect(bytes).toBe(bulkyUnits * blockBytes);
}
