import type { TrialRecord } from "../../coordinator/sweep/types.js";
import { medianOf } from "../harness.js";
import { digits, type Table } from "../table.js";

export interface SplitCase {
  readonly models: string;
  readonly method: string;
  readonly trials: readonly TrialRecord[];
}

const parts = ["plan", "wait", "read", "merge", "load", "run"] as const;

/** Where the time of a trial goes: of the first, and the median of the later half, when inputs and statistics are there. */
export function splitTable(cases: readonly SplitCase[]): Table {
  return {
    title: "Time of a trial, in milliseconds",
    note: "Plan: in the coordinator. Wait: for memory, and for the process that runs models while it has another trial. Read: inputs into memory, the first time. Two trials are under way at once, one being merged while the other runs.",
    columns: ["models", "searched", "trial", ...parts],
    rows: cases.flatMap(({ models, method, trials }) => {
      const inOrder = trials.toSorted((a, b) => a.trial - b.trial);
      const later = inOrder.slice(Math.floor(inOrder.length / 2));
      const row = (name: string, some: readonly TrialRecord[]): string[] => [
        ...[models, method, name],
        ...parts.map((part) => digits(medianOf(some, ({ facts }) => 1000 * (facts?.seconds[part] ?? Number.NaN)))),
      ];
      return [row("first", inOrder.slice(0, 1)), row("later", later)];
    }),
  };
}
