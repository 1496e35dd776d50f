import { create } from "@bufbuild/protobuf";
import { dtypeBits } from "../../shared/checkpoint/dtypes.js";
import { lengthBytes } from "../../shared/checkpoint/header-limits.js";
import { assertShardName } from "../../shared/checkpoint/shard-name.js";
import { AmalgamError } from "../../shared/errors.js";
import {
  type KeepRequest,
  type MergedFile,
  type MergedModel,
  MergeRequestSchema,
  type Piece,
  type TryRequest,
} from "../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../shared/quote.js";
import { assertRequest } from "../check-request.js";
import { limits as evaluationLimits } from "../evaluate/limits.js";
import { digestBytes, limits } from "./limits.js";

/**
 * Refuses a trial that contradicts itself or asks for too much, with `usage`, so that whoever runs it may take its
 * numbers as they are. What its blobs hold is checked when they are put together.
 */
export function assertTryRequest({ model, tasks, threads }: TryRequest): void {
  if (model === undefined) throw refused("it names no model");
  assertDigest("model", model.digest);
  assertFiles(model.files);
  const { seed, sources, programs, pieces } = model;
  between("number of source files", sources.length, 0, evaluationLimits.sources);
  const paths = model.files.map(({ name }) => name);
  assertRequest(
    create(MergeRequestSchema, { seed, sources, programs, pieces, task: { case: "writeFiles", value: { paths } } }),
  );
  assertCoverage(model);
  between("number of tasks", tasks.length, 1, limits.tasks);
  between("number of threads", threads, 0, evaluationLimits.threads);
  between(
    "number of batches",
    sum(tasks, (task) => task.batches.length),
    1,
    limits.batches,
  );
  const seen = new Set<number>();
  for (const { task, graphs, batches } of tasks) {
    if (seen.has(task)) throw refused(`it has task ${task} twice`);
    seen.add(task);
    if (batches.length === 0) throw refused(`task ${task} has no batches`);
    for (const { role, model: digest } of graphs) assertDigest(`graph ${quote(role)} of task ${task}`, digest);
    for (const digest of batches) assertDigest(`batch of task ${task}`, digest);
  }
}

export function assertKeepRequest({ blobs }: KeepRequest): void {
  between("number of blobs", blobs.length, 1, limits.blobs);
  if (blobs.some(({ length }) => length === 0)) throw refused("a blob is empty");
}

function assertFiles(files: readonly MergedFile[]): void {
  between("number of weight files", files.length, 1, limits.files);
  const seen = new Set<string>();
  for (const { name, header, bytes } of files) {
    assertShardName(name, "a trial");
    if (seen.has(name)) throw refused(`it has the file ${quote(name)} twice`);
    seen.add(name);
    const told = header.length < lengthBytes ? undefined : Buffer.from(header).readBigUInt64LE();
    if (told !== BigInt(header.length - lengthBytes)) {
      throw refused(
        `the header of ${quote(name)} has ${header.length} bytes and says ${told ?? "nothing"} of its length`,
      );
    }
    if (bytes < BigInt(header.length) || bytes > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw refused(`${quote(name)} has ${bytes} bytes and a header of ${header.length}`);
    }
  }
}

/** Behind the header of each file its pieces follow one another, without gaps and to the end. */
function assertCoverage({ files, pieces }: MergedModel): void {
  const inOrder = pieces.toSorted((left, right) => {
    return (
      left.outputFile - right.outputFile ||
      Number(left.outputOffset - right.outputOffset) ||
      bitsOf(left) - bitsOf(right)
    );
  });
  const ends = files.map(({ header }) => BigInt(header.length));
  for (const piece of inOrder) {
    const { tensor, outputFile, outputOffset } = piece;
    const name = quote(files[outputFile]?.name ?? "");
    const bits = bitsOf(piece);
    if (bits % 8 !== 0) throw refused(`a piece of ${quote(tensor)} has ${bits} bits, which are no whole bytes`);
    const end = ends[outputFile] ?? 0n;
    if (outputOffset !== end) {
      throw refused(
        `a piece of ${quote(tensor)} begins at byte ${outputOffset} of ${name}, the one before ends at ${end}`,
      );
    }
    ends[outputFile] = end + BigInt(bits / 8);
  }
  for (const [file, { name, bytes }] of files.entries()) {
    if (ends[file] !== bytes) throw refused(`the pieces of ${quote(name)} end at byte ${ends[file]} of ${bytes}`);
  }
}

function bitsOf({ begin, end, outputDtype }: Piece): number {
  return Number(end - begin) * dtypeBits(outputDtype as Parameters<typeof dtypeBits>[0]);
}

function assertDigest(what: string, digest: Uint8Array): void {
  if (digest.length === digestBytes) return;
  throw refused(`the digest of a ${what} has ${digest.length} bytes, not the ${digestBytes} of a SHA-256`);
}

function between(what: string, value: number, least: number, most: number): void {
  if (value < least || value > most) throw refused(`a ${what} of ${value} is not between ${least} and ${most}`);
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

function refused(reason: string): AmalgamError {
  return new AmalgamError("usage", `Cannot run a trial: ${reason}`);
}
