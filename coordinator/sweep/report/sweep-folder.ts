import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { hasErrno, writeError } from "../../assemble/durable.js";
import type { SweepResult } from "../result.js";
import { parseSweep } from "../spec/read.js";
import { fromJson } from "../store/json.js";
import { partsOf, readState, type SweepState } from "../store/state.js";
import { readTrials, sweepFiles } from "../store/store.js";
import type { SweepSpec, TrialRecord } from "../types.js";

/** What a sweep's folder says, at this moment: the sweep may be running. */
export interface SweepFolder {
  readonly folder: string;
  readonly state: SweepState;
  readonly trials: readonly TrialRecord[];
  /** Of a sweep that is over. */
  readonly result?: SweepResult;
  /** The sweep as it was begun. */
  readonly spec?: SweepSpec;
  /** Why there is none, for people. */
  readonly withoutSpec?: string;
}

/** Fails with `usage` where there is no sweep. */
export async function readSweepFolder(folder: string): Promise<SweepFolder> {
  const state = await readState(folder);
  if (state === undefined) {
    throw new AmalgamError("usage", `There is no sweep in ${quote(folder)}: name a folder that "amalgam sweep" made`);
  }
  const trials = await readTrials(folder);
  // What an earlier end came to says nothing of a sweep that has gone on.
  const result = state.state === "done" ? await readResult(folder) : undefined;
  return { folder, state, trials, ...(result === undefined ? {} : { result }), ...(await specOf(folder, state)) };
}

/** The sweep file as it was when the sweep began; models and tasks are where it says. */
async function specOf(folder: string, state: SweepState): Promise<Pick<SweepFolder, "spec" | "withoutSpec">> {
  try {
    const spec = await parseSweep(await readText(join(folder, sweepFiles.text)), state.file);
    const now = partsOf(spec, []);
    const isSame = now["recipe"] === state.parts["recipe"] && now["parameters"] === state.parts["parameters"];
    return isSame ? { spec } : { withoutSpec: "the recipe has changed since the sweep began" };
  } catch (reason) {
    const [first] = AmalgamError.from(reason).message.split("\n");
    return { withoutSpec: `the sweep file cannot be read any more: ${first}` };
  }
}

async function readResult(folder: string): Promise<SweepResult | undefined> {
  try {
    return fromJson(await readText(join(folder, sweepFiles.result))) as SweepResult;
  } catch (reason) {
    if (hasErrno((reason as Error).cause, "ENOENT") || reason instanceof SyntaxError) return undefined;
    throw reason;
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw writeError(error, "read", path);
  }
}
