import { createHash } from "node:crypto";
import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { hasErrno, syncDirectory, writeDurably, writeError } from "../../assemble/durable.js";
import { startPoint } from "../space.js";
import type { Budget, SweepSpec } from "../types.js";

/** Version of the files of a sweep. Another one is refused, never guessed at. */
const formatVersion = 1;

const budget = z.object({
  trials: z.number().optional(),
  examples: z.number().optional(),
  minutes: z.number().optional(),
});

const sweepState = z.object({
  format: z.literal(formatVersion),
  /** The version of Amalgam that began it. */
  amalgam: z.string(),
  /** The sweep file, as an absolute path: `resume` and `extend` read it again. */
  file: z.string(),
  /** What decides the course of the sweep, by what the sweep file calls it: JSON, or a digest of what is long. */
  parts: z.record(z.string(), z.string()),
  /** What the author wrote, and what holds after extensions. */
  authorsBudget: budget,
  budget,
  threads: z.number().optional(),
  state: z.enum(["unfinished", "done"]),
  /** Why it ended. */
  ended: z.string().optional(),
  /** Of work, interruptions not counted. */
  activeSeconds: z.number(),
});

/** sweep.json: what a sweep is, and where it stands. */
export interface SweepState extends Omit<z.infer<typeof sweepState>, "budget" | "authorsBudget"> {
  readonly budget: Budget;
  readonly authorsBudget: Budget;
}

export const stateName = "sweep.json";

/** A state as it is when a sweep begins. */
export function newState(
  spec: SweepSpec,
  { amalgam, threads, parts }: Pick<SweepState, "amalgam" | "threads" | "parts">,
): SweepState {
  return {
    ...{ format: formatVersion, amalgam, file: spec.file, parts },
    ...{ authorsBudget: { ...spec.budget }, budget: { ...spec.budget } },
    ...(threads === undefined ? {} : { threads }),
    ...{ state: "unfinished", activeSeconds: 0 },
  };
}

/** Undefined where there is none. Fails with `output_refused` for what is not a sweep's. */
export async function readState(folder: string): Promise<SweepState | undefined> {
  const path = join(folder, stateName);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return undefined;
    throw writeError(error, "read", path);
  }
  const parsed = sweepState.safeParse(parseJson(text));
  // Limits that are not there are not there.
  if (parsed.success) return parsed.data as SweepState;
  const remedy = "it was made by another version of Amalgam or is damaged; choose another folder";
  throw new AmalgamError("output_refused", `Cannot read the sweep in ${quote(path)}: ${remedy}`);
}

export async function writeState(folder: string, state: SweepState): Promise<void> {
  await replaceFile(join(folder, stateName), `${JSON.stringify(state, undefined, 2)}\n`);
}

/** Makes or replaces a file in one step. */
export async function replaceFile(path: string, text: string): Promise<void> {
  try {
    await writeDurably(`${path}.partial`, text);
    await rename(`${path}.partial`, path);
    await syncDirectory(join(path, ".."));
  } catch (error) {
    throw writeError(error, "write", path);
  }
}

/** Everything but the budget that decides the course of a sweep, by what its file calls it. `taskFiles`: their texts. */
export function partsOf(spec: SweepSpec, taskFiles: readonly string[]): Readonly<Record<string, string>> {
  const { template, space, tasks, objectives, constraints, search, seed, parallel } = spec;
  const { file: _, holdOut, experts, ...choice } = tasks;
  const limits = constraints.map(({ at: _, ...constraint }) => constraint);
  return {
    recipe: digestOf(template.render(startPoint(space))),
    parameters: digestOf(JSON.stringify(space)),
    tasks: JSON.stringify({
      ...choice,
      ...(typeof holdOut === "number" ? { holdOut } : {}),
      experts: [...experts],
      files: taskFiles.map(digestOf),
    }),
    objectives: JSON.stringify(objectives),
    constraints: JSON.stringify(limits),
    search: JSON.stringify({ kind: search.kind.name, ...search.options }),
    seed: String(seed),
    parallel: String(parallel),
  };
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
