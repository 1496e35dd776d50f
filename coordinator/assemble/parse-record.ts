import { z } from "zod";
import { parseChecked } from "./checked-line.js";
import { journalVersion, oddNumbers } from "./journal-records.js";

// What a journal's lines must be. Apart from what writes them, so that a job that finds no journal need not load zod.

const count = z.int().nonnegative();

/** A number from `encodeNumber()`. */
export const anyNumber = z.union([
  z.number(),
  z.enum(["NaN", "Infinity", "-Infinity", "-0"]).transform((name) => oddNumbers.get(name) ?? Number.NaN),
]);

/** The first record: which plan the bytes beside the journal belong to, and the sources as they were. */
const job = z.object({
  type: z.literal("job"),
  version: z.literal(journalVersion),
  planDigest: z.string(),
  /** The version that started the job, for people. */
  amalgam: z.string(),
  /** The arithmetic of that version. Another one may round differently, so the two do not share a job. */
  kernels: z.string().optional(),
  sources: z.array(z.object({ bytes: count, modifiedMs: z.number() })),
});

/** A piece whose bytes were in place when the record was written, and the attempt that put them there. */
const piece = z.object({
  type: z.literal("piece"),
  tensor: count,
  begin: count,
  end: count,
  bytes: count,
  crc32: count.max(0xffff_ffff),
  nonFinite: count,
  overflowed: count,
  largest: anyNumber,
  inputsNonFinite: z.array(count).readonly(),
  unit: count,
  epoch: count,
  agent: z.string(),
});

/** Takes back a piece record whose bytes were later found to differ. */
const dropped = z.object({ type: z.literal("dropped"), tensor: count, begin: count, end: count });

const statisticsEntry = z.object({
  program: count,
  /** Into Plan.tensors; absent for a statistic of the whole model. */
  tensor: count.optional(),
  slot: count,
  values: z.array(anyNumber).readonly(),
});

const statistics = z.object({
  type: z.literal("statistics"),
  pass: count,
  entries: z.array(statisticsEntry).readonly(),
});

const journalRecord = z.discriminatedUnion("type", [job, piece, dropped, statistics]);

export type JournalRecord = z.infer<typeof journalRecord>;
export type JobRecord = z.infer<typeof job>;

export type PieceRecord = z.infer<typeof piece>;

/** The record of a line without its line break; undefined when the line is not what was once written. */
export function parseRecord(line: string): JournalRecord | undefined {
  const json = parseChecked(line);
  if (json === undefined) return undefined;
  const parsed = journalRecord.safeParse(parseJson(json));
  return parsed.success ? parsed.data : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
