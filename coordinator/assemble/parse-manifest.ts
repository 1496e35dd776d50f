import { z } from "zod";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { count, fileFacts, sha256, sourceFacts, stageFacts } from "../provenance/facts.js";
import { anyNumber } from "./parse-record.js";

const manifestSchema = z.object({
  format: z.literal("amalgam-manifest"),
  version: z.literal(1),
  /** `kernels` names the arithmetic and decides bytes; the others say whom to ask. Missing: of an earlier Amalgam. */
  madeWith: z.object({
    amalgam: z.string(),
    node: z.string(),
    protocol: z.int().optional(),
    kernels: z.string().optional(),
  }),
  /** See `readMade()`, which reads it: what a later Amalgam makes can be verified all the same. */
  made: z.looseObject({ kind: z.string() }).optional(),
  planDigest: z.string(),
  method: z.string(),
  seed: z.number(),
  recipe: z.object({ sha256, text: z.string() }),
  models: z.array(
    sourceFacts.extend({
      base: z.boolean(),
      tensors: count,
      bytes: count,
      /** NaN and infinite elements that the merge read from it. */
      nonFinite: count,
      parameters: z.record(z.string(), z.union([z.number(), z.boolean(), z.string()])),
    }),
  ),
  /** Documents that were merged by themselves first; what they were made from is in none of the models above. */
  stages: z.array(stageFacts).optional(),
  weights: z.array(fileFacts),
  companions: z.array(fileFacts),
  numbers: z.object({
    nonFinite: count,
    overflowed: count,
    /** The tensors that the two counts come from, in output order. */
    tensors: z.array(z.string()),
  }),
  /** One row per tensor, in output order: name, non-finite elements, overflowed elements, largest |x|. */
  tensors: z.array(z.tuple([z.string(), count, count, anyNumber])),
});

/**
 * What `amalgam.json` says: where an output came from and what it must look like. Two runs of the same recipe write
 * the same bytes, so nothing of a machine, a run or a date is in it.
 */
export type Manifest = z.infer<typeof manifestSchema>;

/** The manifest of a text; `path` is what messages call it. Fails as `readManifest()` does. */
export function parseManifest(text: string, path: string): Manifest {
  const parsed = manifestSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? "it" : quote(issue.path.join("."));
  throw new AmalgamError(
    "checkpoint_malformed",
    `Cannot read manifest ${quote(path)}: ${where} is not as Amalgam writes it (${issue?.message ?? "unknown"})`,
    { details: { file: path } },
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
