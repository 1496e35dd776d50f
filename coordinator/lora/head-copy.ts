import { open } from "node:fs/promises";
import type { Checkpoint, CheckpointTensor } from "../../shared/checkpoint/open.js";
import { readFully } from "../../shared/checkpoint/regular-file.js";
import { findEmbedding, isHead } from "./base-names.js";
import { readTensorName } from "./tensor-names.js";

const compareBytes = 4 << 20;

/**
 * Whether an adapter saves a head that is its embedding once more, byte for byte: mergekit-extract-lora writes both ends of
 * a tie. Reads the two tensors, if both are there and of one shape.
 */
export async function isHeadCopied(checkpoint: Checkpoint): Promise<boolean> {
  const whole = new Map<string, CheckpointTensor>();
  for (const [key, tensor] of checkpoint.tensors) {
    const read = readTensorName(key);
    if (read.kind === "whole" && !read.isUnderneath) whole.set(read.name, tensor);
  }
  const head = [...whole].find(([name]) => isHead(name.replace(/\.weight$/, "")))?.[1];
  const embedding = findEmbedding(whole);
  if (head === undefined || embedding === undefined) return false;
  const sameKind = head.dtype === embedding.dtype && String(head.shape) === String(embedding.shape);
  return sameKind && (await equalBytes(checkpoint, head, embedding));
}

async function equalBytes({ files }: Checkpoint, a: CheckpointTensor, b: CheckpointTensor): Promise<boolean> {
  // An adapter is one file.
  await using handle = await open(files[a.file]?.path ?? "");
  const [left, right] = [Buffer.alloc(compareBytes), Buffer.alloc(compareBytes)];
  for (let at = 0; at < a.bytes; at += compareBytes) {
    const count = Math.min(compareBytes, a.bytes - at);
    await readFully(handle, left.subarray(0, count), a.offset + at);
    await readFully(handle, right.subarray(0, count), b.offset + at);
    if (left.compare(right, 0, count, 0, count) !== 0) return false;
  }
  return true;
}
