import { createHash } from "node:crypto";
import { formatHeader } from "../../../shared/checkpoint/header.js";

/** What the output keeps its gates in: a safetensors file under a name that no loader takes for weights. */
export const gatesName = "amalgam.gates";

/** Gates of all layers, F32. */
export interface GateValues {
  readonly layers: number;
  readonly hidden: number;
  /** [layers, experts, hidden] */
  readonly experts: Float32Array;
  /** [layers, shared experts, hidden]; empty where there are none. */
  readonly sharedExperts: Float32Array;
}

/** Gates as the bytes of a file: one tensor for the experts, one for the shared experts. */
export interface GatesFile extends GateValues {
  readonly content: Uint8Array;
  /** Of the header, its length included. Since values count in it, other gates make another plan. */
  readonly headerSha256: string;
  /** Where the first byte of each tensor is. */
  readonly offsets: { readonly experts: number; readonly sharedExperts: number };
}

/** `key`: of what they follow from. Equal arguments give equal bytes. */
export function formatGates(values: GateValues, key: string): GatesFile {
  const { layers, hidden, experts, sharedExperts } = values;
  const shapeOf = (rows: Float32Array): readonly number[] => [layers, rows.length / (layers * hidden), hidden];
  const parts = [experts, sharedExperts].map((rows) => new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength));
  const sha256 = parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest("hex");
  const header = formatHeader(
    [
      { name: "experts", dtype: "F32", shape: shapeOf(experts) },
      { name: "shared_experts", dtype: "F32", shape: shapeOf(sharedExperts) },
    ],
    new Map([
      ["amalgam_gates", key],
      ["sha256", sha256],
    ]),
  );
  return {
    ...values,
    content: Buffer.concat([header, ...parts]),
    headerSha256: createHash("sha256").update(header).digest("hex"),
    offsets: { experts: header.length, sharedExperts: header.length + experts.byteLength },
  };
}

/** Undefined for bytes that are not the gates that follow from this, as {@link formatGates} writes them. */
export function parseGates(content: Uint8Array, key: string, shape: GateShape): GatesFile | undefined {
  const { layers, hidden } = shape;
  const counts = [shape.experts, shape.sharedExperts].map((rows) => layers * rows * hidden);
  const bytes = 4 * counts.reduce((sum, count) => sum + count, 0);
  if (content.length <= bytes) return undefined;
  // Copied, since numbers have to be aligned.
  const values = new Float32Array(new Uint8Array(content.subarray(content.length - bytes)).buffer);
  const experts = values.subarray(0, counts[0]);
  const file = formatGates({ layers, hidden, experts, sharedExperts: values.subarray(counts[0]) }, key);
  return Buffer.compare(file.content, content) === 0 ? file : undefined;
}

export interface GateShape {
  readonly layers: number;
  readonly hidden: number;
  readonly experts: number;
  readonly sharedExperts: number;
}

/** Zeros, for a plan that is not carried out. */
export function pendingGates({ layers, hidden, experts, sharedExperts }: GateShape): GatesFile {
  const zeros = (rows: number): Float32Array => new Float32Array(layers * rows * hidden);
  return formatGates({ layers, hidden, experts: zeros(experts), sharedExperts: zeros(sharedExperts) }, "");
}
