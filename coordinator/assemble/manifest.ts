import { createHash } from "node:crypto";
import { join } from "node:path";
import { z } from "zod";
import { readSmallFile } from "../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { Plan } from "../plan/types.js";
import { anyNumber, encodeNumber } from "./journal-records.js";
import type { Pieces } from "./pieces.js";

export const manifestName = "amalgam.json";

/** Largest manifest read; one of 140,000 tensors takes some 20 MB. */
const maxManifestBytes = 256 << 20;

const count = z.int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
/** Names are joined to the directory that is verified, so they must not lead out of it. */
const plainName = z
  .string()
  .max(255)
  .regex(/^(?!\.{1,2}$)[^/\\\p{Cc}]+$/u);
const file = z.object({ name: plainName, bytes: count, sha256 });

const manifestSchema = z.object({
  format: z.literal("amalgam-manifest"),
  version: z.literal(1),
  madeWith: z.object({ amalgam: z.string(), node: z.string() }),
  planDigest: z.string(),
  method: z.string(),
  seed: z.number(),
  recipe: z.object({ sha256, text: z.string() }),
  models: z.array(
    z.object({
      name: z.string(),
      base: z.boolean(),
      tensors: count,
      bytes: count,
      /** NaN and infinite elements that the merge read from it. */
      nonFinite: count,
      parameters: z.record(z.string(), z.union([z.number(), z.boolean(), z.string()])),
      files: z.array(z.object({ name: z.string(), bytes: count, headerSha256: sha256 })),
    }),
  ),
  weights: z.array(file),
  companions: z.array(file),
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
export type ManifestFile = z.infer<typeof file>;

export interface ManifestFacts {
  readonly recipeText: string;
  readonly amalgam: string;
  readonly weights: readonly ManifestFile[];
  readonly companions: readonly ManifestFile[];
}

export function buildManifest(plan: Plan, pieces: Pieces, facts: ManifestFacts): Manifest {
  const tensors = plan.tensors.map(({ name }, tensor): Manifest["tensors"][number] => {
    const parts = pieces.of(tensor);
    return [
      name,
      parts.reduce((sum, piece) => sum + piece.nonFinite, 0),
      parts.reduce((sum, piece) => sum + piece.overflowed, 0),
      parts.reduce((largest, piece) => Math.max(largest, piece.largest), 0),
    ];
  });
  const inputs = nonFiniteInputs(plan, pieces);
  return {
    format: "amalgam-manifest",
    version: 1,
    madeWith: { amalgam: facts.amalgam, node: process.versions.node },
    planDigest: plan.digest,
    method: plan.method,
    seed: plan.seed,
    recipe: { sha256: createHash("sha256").update(facts.recipeText).digest("hex"), text: facts.recipeText },
    models: plan.models.map(({ name, isBase, tensors, bytes, parameters }, model) => ({
      name,
      base: isBase,
      tensors,
      bytes,
      nonFinite: inputs[model] ?? 0,
      parameters: { ...parameters },
      files: plan.sources
        .filter((source) => source.model === model)
        .map(({ name, bytes, headerSha256 }) => ({ name, bytes, headerSha256 })),
    })),
    weights: [...facts.weights],
    companions: [...facts.companions],
    numbers: {
      nonFinite: tensors.reduce((sum, [, nonFinite]) => sum + nonFinite, 0),
      overflowed: tensors.reduce((sum, [, , overflowed]) => sum + overflowed, 0),
      tensors: tensors.filter(([, nonFinite, overflowed]) => nonFinite + overflowed > 0).map(([name]) => name),
    },
    tensors,
  };
}

/** NaN and infinite elements read from each model. */
function nonFiniteInputs(plan: Plan, pieces: Pieces): readonly number[] {
  const counts = plan.models.map(() => 0);
  for (const [tensor, { inputs }] of plan.tensors.entries()) {
    for (const [input, { model }] of inputs.entries()) {
      const found = pieces.of(tensor).reduce((sum, piece) => sum + (piece.inputsNonFinite[input] ?? 0), 0);
      if (counts[model] !== undefined) counts[model] += found;
    }
  }
  return counts;
}

/** The manifest's text: a person can read its upper part, and each tensor has a line of its own. */
export function formatManifest(manifest: Manifest): string {
  const { tensors, ...head } = manifest;
  const rows = tensors.map(([name, nonFinite, overflowed, largest]) => {
    return `    ${JSON.stringify([name, nonFinite, overflowed, encodeNumber(largest)])}`;
  });
  const text = JSON.stringify({ ...head, tensors: [] }, null, 2);
  return rows.length === 0 ? `${text}\n` : `${text.slice(0, -"[]\n}".length)}[\n${rows.join(",\n")}\n  ]\n}\n`;
}

/**
 * Reads the manifest of an output directory. One that is missing, broken or not ours is a `checkpoint_malformed`, since
 * the directory may come from anywhere.
 */
export async function readManifest(directory: string): Promise<Manifest> {
  const path = join(directory, manifestName);
  const text = Buffer.from(await readSmallFile(path, { maxBytes: maxManifestBytes, followLinks: false })).toString();
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
