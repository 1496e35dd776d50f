import { AmalgamError } from "../../../shared/errors.js";
import { formatCount, quote } from "../../../shared/quote.js";
import type { ExampleRecord, TaskResult } from "../types.js";

/** The records of two models for the same examples, place by place. */
export interface PairedRecords {
  readonly a: readonly ExampleRecord[];
  readonly b: readonly ExampleRecord[];
}

/**
 * Joins the records of two models by their ids, in the first one's order.
 *
 * @throws AmalgamError `usage` naming the task, both counts and the first odd id when the models did not answer the same
 *   examples, or an id stands for two of them
 */
export function pairRecords(
  task: string,
  a: { readonly model: string; readonly result: TaskResult },
  b: { readonly model: string; readonly result: TaskResult },
): PairedRecords {
  const inA = byId(task, a.model, a.result.records);
  const inB = byId(task, b.model, b.result.records);
  const onlyA = a.result.records.find(({ id }) => !inB.has(id));
  const onlyB = b.result.records.find(({ id }) => !inA.has(id));
  const odd = onlyA ?? onlyB;
  if (odd !== undefined) {
    const owner = onlyA === undefined ? b.model : a.model;
    const counts = `${quote(a.model)} has ${formatCount(inA.size)}, ${quote(b.model)} has ${formatCount(inB.size)}`;
    throw new AmalgamError(
      "usage",
      `Cannot compare task ${quote(task)} example by example: ${counts}, and only ${quote(owner)} has ${quote(odd.id)}; ` +
        "evaluate both on the same data",
      { details: { task } },
    );
  }
  return { a: a.result.records, b: a.result.records.flatMap(({ id }) => inB.get(id) ?? []) };
}

function byId(task: string, model: string, records: readonly ExampleRecord[]): ReadonlyMap<string, ExampleRecord> {
  const found = new Map(records.map((record) => [record.id, record]));
  if (found.size === records.length) return found;
  const seen = new Set<string>();
  const twice = records.find(({ id }) => seen.size === seen.add(id).size);
  throw new AmalgamError(
    "usage",
    `Cannot compare task ${quote(task)} example by example: ${quote(model)} has ${quote(twice?.id ?? "")} more than once; ` +
      "give each example an id of its own",
    { details: { task } },
  );
}
