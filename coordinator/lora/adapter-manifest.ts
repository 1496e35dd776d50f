import { createHash } from "node:crypto";
import { widen } from "../../shared/checkpoint/convert.js";
import { type Dtype, dtypeBytes, isComputable } from "../../shared/checkpoint/dtypes.js";
import { packageVersion } from "../../shared/rpc/version.js";
import { type Manifest, madeWith, recipeFacts } from "../assemble/manifest.js";
import type { SourceFacts } from "../provenance/facts.js";
import type { MadeOf } from "../provenance/made.js";
import { describeCheckpoint } from "../provenance/source-facts.js";
import { adapterConfigName } from "./adapter.js";

/** Where an adapter comes from. */
export interface AdapterProvenance {
  readonly made: MadeOf<"extract-lora"> | MadeOf<"merge-adapters">;
  readonly sources: readonly AdapterSource[];
}

export interface AdapterSource extends SourceFacts {
  readonly isBase: boolean;
  readonly tensors: number;
  readonly parameters: Readonly<Record<string, number>>;
}

/** A tensor as it was written: name, non-finite elements, overflowed ones, largest |x|. */
export type TensorRow = Manifest["tensors"][number];

/** Small files of a source that decide an adapter's bytes. */
const deciding = ["config.json", adapterConfigName] as const;

export async function describeSource(
  name: string,
  checkpoint: Parameters<typeof describeCheckpoint>[1] & { readonly tensors: ReadonlyMap<string, unknown> },
  facts: Pick<AdapterSource, "isBase" | "parameters">,
): Promise<AdapterSource> {
  const { tensors } = checkpoint;
  return { ...(await describeCheckpoint(name, checkpoint, deciding)), tensors: tensors.size, ...facts };
}

/** The manifest of an adapter, which has no plan: its digest stands for what it was made from, and how. */
export function adapterManifest(
  { made, sources }: AdapterProvenance,
  files: Pick<Manifest, "weights" | "companions" | "tensors">,
): Manifest {
  const digest = createHash("sha256")
    .update(JSON.stringify(["amalgam adapter", 1, made, sources]))
    .digest("hex");
  const { weights, companions, tensors } = files;
  return {
    format: "amalgam-manifest",
    version: 1,
    madeWith: madeWith(packageVersion()),
    made,
    planDigest: digest,
    method: made.kind,
    seed: 0,
    recipe: recipeFacts(""),
    models: sources.map(({ isBase, tensors: count, parameters, ...facts }) => ({
      ...facts,
      base: isBase,
      tensors: count,
      bytes: facts.files.reduce((sum, { bytes }) => sum + bytes, 0),
      nonFinite: 0,
      parameters: { ...parameters },
    })),
    weights,
    companions,
    numbers: {
      nonFinite: tensors.reduce((sum, [, nonFinite]) => sum + nonFinite, 0),
      overflowed: 0,
      tensors: tensors.filter(([, nonFinite]) => nonFinite > 0).map(([name]) => name),
    },
    tensors,
  };
}

/** Elements looked at at a time. */
const tileElements = 1 << 20;

/** What a manifest says of a tensor. Elements that are not numbers to compute with are not looked at. */
export function describeTensor(name: string, dtype: Dtype, bytes: Uint8Array): TensorRow {
  let [nonFinite, largest] = [0, 0];
  const tileBytes = isComputable(dtype) ? tileElements * dtypeBytes(dtype) : bytes.length;
  for (let begin = 0; isComputable(dtype) && begin < bytes.length; begin += tileBytes) {
    for (const value of widen(dtype, bytes.subarray(begin, begin + tileBytes))) {
      if (!Number.isFinite(value)) nonFinite += 1;
      if (Math.abs(value) > largest) largest = Math.abs(value);
    }
  }
  return [name, nonFinite, 0, largest];
}
