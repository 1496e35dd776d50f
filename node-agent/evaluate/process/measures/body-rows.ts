import { AmalgamError } from "../../../../shared/errors.js";
import { quote } from "../../../../shared/quote.js";
import type { Feeds } from "../graph-inputs.js";
import { floats, run } from "../run.js";
import type { LoadedGraph } from "../session-store.js";
import { type Predictions, predict, predictFromLogits, type Rows } from "./head.js";

/** A model whose body ends in hidden states that a head turns into logits, or in logits. */
export interface LanguageModel {
  readonly body: LoadedGraph;
  readonly head: LoadedGraph | undefined;
}

/** Predicts `targets` from rows of a batch's states. Choosing rows comes before the head: few of them are wanted. */
export async function predictRows(
  { body, head }: LanguageModel,
  feeds: Feeds,
  chooseRows: (batch: number, time: number) => readonly number[],
  targets: readonly number[],
): Promise<Predictions> {
  const name = head === undefined ? logitsOutput(body) : "hidden";
  const found = (await run(body, feeds, [name]))(name);
  const [batch = 0, time = 0, width = 0] = found.dims;
  if (found.dims.length !== 3) {
    const problem = `its shape is [${found.dims.join(", ")}], not [batch, time, width]`;
    throw new AmalgamError("checkpoint_mismatch", `Cannot score tokens by output ${quote(name)}: ${problem}`);
  }
  const rows = gather({ values: floats(name, found), width }, chooseRows(batch, time), batch * time);
  return head === undefined ? predictFromLogits(rows, targets) : await predict(head, rows, targets);
}

function logitsOutput({ session: { outputNames } }: LoadedGraph): string {
  return outputNames.includes("logits") ? "logits" : (outputNames[0] ?? "");
}

function gather({ values, width }: Rows, rows: readonly number[], height: number): Rows {
  const gathered = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) {
    if (row >= height) throw new AmalgamError("usage", `Cannot score row ${row}: the batch has ${height} tokens`);
    gathered.set(values.subarray(row * width, (row + 1) * width), i * width);
  }
  return { values: gathered, width };
}

/** The last row of every example. */
export function lastRows(batch: number, time: number): readonly number[] {
  return Array.from({ length: batch }, (_, example) => (example + 1) * time - 1);
}
