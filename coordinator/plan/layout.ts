import { type Dtype, dtypeBits } from "../../shared/checkpoint/dtypes.js";
import { formatHeader } from "../../shared/checkpoint/header.js";
import type { OutputFile } from "./types.js";

export interface LaidOutTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly bytes: number;
}

export interface Layout {
  readonly files: readonly OutputFile[];
  /** For each tensor, in the order given: its file, and its first byte's offset from the start of that file. */
  readonly places: readonly { readonly file: number; readonly offset: number }[];
  /** The tensors in output order, as positions in the list given. */
  readonly order: readonly number[];
}

/** Transformers' default before version 5, and what most tools and file systems are comfortable with. */
export const defaultShardBytes = 5_000_000_000;

/**
 * Fixes where every byte of the output goes: tensors fill files in the order given, a new file starting where the next
 * tensor would exceed `shardBytes`. Within a file wide dtypes come first, as the safetensors reference writes them, so
 * that every tensor is aligned to its own width. One file is `model.safetensors`; several are numbered.
 */
export function layOutFiles(tensors: readonly LaidOutTensor[], shardBytes: number): Layout {
  const groups: number[][] = [];
  let filled = Number.POSITIVE_INFINITY;
  tensors.forEach(({ bytes }, i) => {
    if (filled + bytes > shardBytes && filled > 0) {
      groups.push([]);
      filled = 0;
    }
    groups.at(-1)?.push(i);
    filled += bytes;
  });
  if (groups.length === 0) groups.push([]);

  const places = new Array<{ file: number; offset: number }>(tensors.length);
  const order: number[] = [];
  const files = groups.map((group, file): OutputFile => {
    const widthOf = (i: number): number => dtypeBits(tensors[i]?.dtype ?? "U8");
    const sorted = group.toSorted((a, b) => widthOf(b) - widthOf(a) || a - b);
    const members = sorted.map((i) => tensors[i]).filter((tensor) => tensor !== undefined);
    const header = formatHeader(members, new Map([["format", "pt"]]));
    let offset = header.length;
    sorted.forEach((i) => {
      places[i] = { file, offset };
      offset += tensors[i]?.bytes ?? 0;
      order.push(i);
    });
    return { name: shardName(file, groups.length), header, bytes: offset };
  });
  return { files, places, order };
}

function shardName(file: number, count: number): string {
  if (count === 1) return "model.safetensors";
  const padded = (number: number): string => String(number).padStart(5, "0");
  return `model-${padded(file + 1)}-of-${padded(count)}.safetensors`;
}
