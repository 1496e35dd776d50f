import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { AmalgamError } from "../../../shared/errors.js";
import { quote, quoteList } from "../../../shared/quote.js";
import { isObject } from "../../tokenizer/json.js";
import type { ExampleRecord, Row, Task } from "../types.js";
import { taskError } from "./mismatch.js";

type Fields = Row["fields"];

/** What a module exports: `scores`, and as default the function that makes them. */
export interface ScoringModule {
  readonly path: string;
  /** Names of the scores that each example gets, and which way is better. Their means are the task's metrics. */
  readonly scores: Readonly<Record<string, "higher" | "lower">>;
  readonly score: (outputs: readonly Float32Array[], rows: readonly Fields[]) => unknown;
  /** Of the module's own text. */
  readonly digest: string;
}

/** Imports a scoring module, which runs with the rights of whoever runs the evaluation. */
export async function loadModule(task: Task, path: string): Promise<ScoringModule> {
  const wrong = (problem: string): AmalgamError => taskError(task, `Module ${quote(path)} ${problem}`);
  let exported: Readonly<Record<string, unknown>>;
  let text: Uint8Array;
  try {
    text = await readFile(path);
    exported = await import(pathToFileURL(path).href);
  } catch (cause) {
    throw wrong(`cannot be loaded: ${messageOf(cause)}`);
  }
  const { default: score, scores } = exported;
  if (typeof score !== "function") throw wrong("has no function as its default export");
  if (!isScores(scores)) throw wrong('must export "scores", such as { acc: "higher", loss: "lower" }');
  const digest = createHash("sha256").update(text).digest("hex");
  return { path, scores, score: (outputs, rows) => score(outputs, rows), digest };
}

/** Runs the module's function and checks what it gives: `{ scores, prediction?, answer? }` for every example. */
export async function recordsFrom(
  module: ScoringModule,
  outputs: readonly Float32Array[],
  rows: readonly Row[],
  ids: readonly string[],
): Promise<readonly ExampleRecord[]> {
  const wrong = (problem: string, cause?: unknown): AmalgamError => {
    const message = `Cannot score with module ${quote(module.path)}: ${problem}`;
    return new AmalgamError("usage", message, { cause, details: { module: module.path } });
  };
  let result: unknown;
  try {
    result = await module.score(
      outputs,
      rows.map(({ fields }) => fields),
    );
  } catch (cause) {
    throw wrong(`it threw ${quote(messageOf(cause))}`, cause);
  }
  if (!Array.isArray(result) || result.length !== rows.length) {
    const found = Array.isArray(result) ? `a list of ${result.length}` : typeof result;
    throw wrong(`it must return a list of ${rows.length}, one per example, and returned ${found}`);
  }
  const names = Object.keys(module.scores);
  return result.map((item: unknown, i): ExampleRecord => {
    const { scores, prediction, answer } = isObject(item) ? item : {};
    const all = isObject(scores) ? scores : {};
    const missing = names.filter((name) => typeof all[name] !== "number");
    if (missing.length > 0)
      throw wrong(`example ${i} (${rows[i]?.place}) has no number as ${quoteList(missing)} in its "scores"`);
    const own = Object.fromEntries(names.map((name) => [name, Number(all[name])]));
    for (const [key, value] of Object.entries({ prediction, answer })) {
      const problem = problemOfJson(value);
      if (problem !== undefined) throw wrong(`${quote(key)} of example ${i} cannot be written as JSON: ${problem}`);
    }
    const rest = { ...(prediction === undefined ? {} : { prediction }), ...(answer === undefined ? {} : { answer }) };
    return { id: ids[i] ?? String(i), scores: own, ...rest };
  });
}

/** A big integer or a cycle would be noticed only when the results are written. */
function problemOfJson(value: unknown): string | undefined {
  try {
    JSON.stringify(value);
    return undefined;
  } catch (cause) {
    return messageOf(cause).split("\n")[0];
  }
}

function isScores(value: unknown): value is ScoringModule["scores"] {
  if (!isObject(value)) return false;
  const ways = Object.values(value);
  return ways.length > 0 && ways.every((way) => way === "higher" || way === "lower");
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
