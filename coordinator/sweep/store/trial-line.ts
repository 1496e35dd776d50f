import { z } from "zod";
import { anyNumber } from "../../assemble/parse-record.js";
import type { TrialRecord } from "../types.js";
import { toJson } from "./json.js";

// A line of trials.jsonl: plain JSON that other tools read, in which NaN and infinities are words.

const count = z.int().nonnegative();
const numbers = z.record(z.string(), anyNumber);
const seconds = z.object({
  plan: anyNumber,
  wait: anyNumber,
  read: anyNumber,
  merge: anyNumber,
  load: anyNumber,
  run: anyNumber,
});

const trialRecord = z.object({
  trial: count,
  label: z.string().optional(),
  point: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])),
  rung: count,
  reference: z.string().optional(),
  key: z.string(),
  status: z.enum(["done", "failed"]),
  failure: z.object({ code: z.string(), message: z.string() }).optional(),
  weights: z.string().optional(),
  objectives: numbers,
  losses: z.array(anyNumber),
  loss: anyNumber,
  violation: anyNumber,
  metrics: z.record(z.string(), numbers),
  examples: count,
  fresh: count,
  segments: z.array(
    z.object({ task: z.string(), part: z.union([count, z.literal("held out")]), examples: count, key: z.string() }),
  ),
  facts: z
    .object({
      agent: z.string(),
      provider: z.string(),
      attempts: count,
      seconds,
      peakBytes: anyNumber,
      budgetBytes: anyNumber,
    })
    .optional(),
  retried: z.boolean().optional(),
  startedAt: z.string(),
  seconds: anyNumber,
});

/** As JSON. Points stand as they are: their values are what a search gave, and no NaN. */
export function formatTrial(record: TrialRecord): string {
  const { point, ...rest } = record;
  return `{"point":${JSON.stringify(point)},${toJson(rest).slice(1)}`;
}

/** Undefined for what is no record of a trial. */
export function parseTrial(json: string): TrialRecord | undefined {
  const parsed = trialRecord.safeParse(JSON.parse(json));
  // Optional fields that are not there are not there.
  return parsed.success ? (parsed.data as TrialRecord) : undefined;
}
