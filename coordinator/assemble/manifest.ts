import { createHash } from "node:crypto";
import { join } from "node:path";
import { readSmallFile } from "../../shared/checkpoint/regular-file.js";
import { kernelsVersion, protocolVersion } from "../../shared/rpc/version.js";
import type { Plan } from "../plan/types.js";
import type { FileFacts, SourceFacts, StageFacts } from "../provenance/facts.js";
import type { Made } from "../provenance/made.js";
import { encodeNumber } from "./journal-records.js";
import type { Manifest } from "./parse-manifest.js";
import type { Pieces } from "./pieces.js";

export const manifestName = "amalgam.json";

/** Largest manifest read; one of 140,000 tensors takes some 20 MB. */
export const maxManifestBytes = 256 << 20;

export type { Manifest } from "./parse-manifest.js";
export type ManifestFile = FileFacts;

export interface ManifestFacts {
  readonly recipeText: string;
  /** What else decided the bytes; see {@link Made}. */
  readonly made?: Made | undefined;
  /** What is known of each of the plan's models. Default: what the plan says of their weights. */
  readonly sources?: readonly SourceFacts[] | undefined;
  readonly stages?: readonly StageFacts[] | undefined;
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
    madeWith: madeWith(facts.amalgam),
    ...(facts.made === undefined ? {} : { made: facts.made }),
    planDigest: plan.digest,
    method: plan.method,
    seed: plan.seed,
    recipe: recipeFacts(facts.recipeText),
    models: plan.models.map(({ name, isBase, tensors, bytes, parameters }, model) => ({
      ...(facts.sources?.[model] ?? { name, files: plannedFiles(plan, model) }),
      base: isBase,
      tensors,
      bytes,
      nonFinite: inputs[model] ?? 0,
      parameters: { ...parameters },
    })),
    ...(facts.stages === undefined || facts.stages.length === 0 ? {} : { stages: [...facts.stages] }),
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

/** Which software makes an output, in a manifest. */
export function madeWith(amalgam: string): Manifest["madeWith"] {
  return { amalgam, node: process.versions.node, protocol: protocolVersion, kernels: kernelsVersion };
}

export function recipeFacts(text: string): Manifest["recipe"] {
  return { sha256: createHash("sha256").update(text).digest("hex"), text };
}

/** What a plan knows of a model's weights, in its order: those of an adapter come after the model's own. */
export function plannedFiles(plan: Plan, model: number): SourceFacts["files"] {
  return plan.sources
    .filter((source) => source.model === model && source.isComputed !== true)
    .map(({ name, bytes, headerSha256, remote }) => {
      return { name, bytes, headerSha256, ...(remote?.version === undefined ? {} : { version: remote.version }) };
    });
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
export function readManifest(directory: string): Promise<Manifest> {
  return readManifestFile(join(directory, manifestName));
}

/** The same of a manifest that lies by itself. */
export async function readManifestFile(path: string): Promise<Manifest> {
  const text = Buffer.from(await readSmallFile(path, { maxBytes: maxManifestBytes, followLinks: false })).toString();
  // Most merges find none, and do without what checks it.
  const { parseManifest } = await import("./parse-manifest.js");
  return parseManifest(text, path);
}
