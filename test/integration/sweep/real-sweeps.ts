import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SweepJob } from "../../../coordinator/sweep/job.js";
import type { SweepResult } from "../../../coordinator/sweep/result.js";
import { readSweep } from "../../../coordinator/sweep/spec/read.js";
import { LineLog } from "../../../coordinator/sweep/store/line-log.js";
import { readTrials } from "../../../coordinator/sweep/store/store.js";
import { runSweep } from "../../../coordinator/sweep/sweep.js";
import type { TrialRecord } from "../../../coordinator/sweep/types.js";
import { withTempDir } from "../../support/checkpoints.js";
import { type RunningCommand, startAmalgam } from "../../support/command.js";
import { agentEntry } from "../../support/merges.js";
import { writeModel, writeTasks } from "../evaluate/models.js";

// Sweeps as a user has them, with a file and agents, over models of some ten thousand weights: a base, and two experts.

export interface SweepText {
  readonly trials?: number;
  /** @default cma-es */
  readonly search?: string;
  /** Further keys of the sweep file. */
  readonly more?: string;
  /** Further keys of the tasks, such as `, rungs: [4]`. */
  readonly tasks?: string;
  /** The parameters of each expert. */
  readonly parameters?: string;
  /** @default task_arithmetic */
  readonly method?: string;
  readonly objective?: string;
}

/** A folder with models, tasks and their data. */
export async function withSweeps() {
  const folder = await withTempDir();
  const at = (...parts: readonly string[]): string => join(folder.path, ...parts);
  await writeTasks(folder.path);
  await writeFile(
    at("two.yaml"),
    `tasks:
  short: {kind: classification, data: labels.jsonl, text: "{{text}}", label: label, batch: 5}
  long: {kind: classification, data: labels.jsonl, text: "{{text}} {{text}}", label: label, batch: 5}
`,
  );
  await writeModel(folder.path, "base", "classifier");
  for (const name of ["short", "long"]) await writeModel(folder.path, name, "classifier", { salt: name });
  return {
    path: folder.path,
    at,
    /** Writes a sweep file, and returns its path. */
    write: async (name: string, text: SweepText = {}): Promise<string> => {
      await writeFile(at(name), sweepText(text));
      return at(name);
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

export function sweepText(text: SweepText): string {
  const { trials = 20, search = "{kind: cma-es, population: 8}", more = "", tasks = "" } = text;
  const { parameters = "{weight: {range: [0, 1], start: 0.5}}", method = "task_arithmetic" } = text;
  const { objective = "{of: mean, metric: logprob}" } = text;
  return `recipe:
  merge_method: ${method}
  base_model: base
  models:
    - {model: short, parameters: ${parameters}}
    - {model: long, parameters: ${parameters}}
  dtype: float32
tasks: {file: two.yaml, hold_out: 0.5${tasks}}
objective: ${objective}
budget: {trials: ${trials}}
search: ${search}
parallel: 8
${more}
`;
}

/** Runs a sweep in this process: on one agent that is a thread of it, unless others are given. */
export async function sweepHere(
  file: string,
  folder: string,
  { words = [], ...job }: Partial<SweepJob> & { readonly words?: readonly string[] } = {},
): Promise<SweepResult> {
  const local = { kind: "local", count: 1, mode: "thread", entry: agentEntry, slotsEach: 1 } as const;
  return runSweep({
    ...{ spec: await readSweep(file), folder, agents: { ...local, memoryBytesEach: 64 << 20 }, threads: 1 },
    agentWords: ["--trial-memory", "64MB", ...words],
    finishers: [],
    ...job,
  });
}

/** What of the trials on record does not depend on when and by whom they were run. */
export async function timelessTrials(folder: string) {
  return timeless(await readTrials(folder));
}

export function timeless(records: readonly TrialRecord[]) {
  return records.map(({ startedAt: _, seconds: __, facts: ___, ...rest }) => rest);
}

interface EvidenceLine {
  readonly segment?: string;
  readonly trial?: number;
  readonly scores?: Readonly<Record<string, string>>;
}

/** Every line of scores in a sweep's folder, in the order of writing: which segment, for which trial, and their bits. */
export async function evidenceLines(folder: string): Promise<readonly Required<EvidenceLine>[]> {
  const lines: Required<EvidenceLine>[] = [];
  await LineLog.read(join(folder, "examples.jsonl"), (json) => {
    const { segment, trial, scores } = JSON.parse(json) as EvidenceLine;
    if (segment !== undefined && trial !== undefined && scores !== undefined) lines.push({ segment, trial, scores });
  });
  return lines;
}

/** The bits of all scores, by segment. Fails for a segment that was recorded twice. */
export async function scoreBits(folder: string): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
  const lines = await evidenceLines(folder);
  const bits = new Map(lines.map(({ segment, scores }) => [segment, scores]));
  if (bits.size !== lines.length) throw new Error(`${lines.length} lines for ${bits.size} segments`);
  return bits;
}

export async function stateOf(folder: string): Promise<Readonly<Record<string, unknown>>> {
  return JSON.parse(await readFile(join(folder, "sweep.json"), "utf8")) as Readonly<Record<string, unknown>>;
}

/** An agent for trials, as a process. */
export async function startTrialAgent(
  root: string,
  options: { readonly name?: string; readonly port?: number | undefined; readonly words?: readonly string[] } = {},
): Promise<RunningCommand & { readonly address: string; readonly port: number }> {
  const { name = "agent", port = 0, words = [] } = options;
  const memory = words.includes("--trial-memory") ? [] : ["--trial-memory", "64MB"];
  const fixed = [
    "agent",
    "--root",
    root,
    "--slots",
    "1",
    "--eval-threads",
    "1",
    "--name",
    name,
    "--port",
    String(port),
  ];
  const agent = startAmalgam([...fixed, ...memory, ...words]);
  const line = await agent.line((text) => text.includes(" listens on "));
  const address = line.slice(line.lastIndexOf(" ") + 1);
  return { ...agent, address, port: Number(address.slice(address.lastIndexOf(":") + 1)) };
}
