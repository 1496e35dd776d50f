import { setMaxListeners } from "node:events";
import { create } from "@bufbuild/protobuf";
import { dtypeBits, isDtype } from "../../shared/checkpoint/dtypes.js";
import { type MergedModel, MergeRequestSchema, type Piece } from "../../shared/gen/amalgam/v1/agent_pb.js";
import type { TaskEvent } from "../pool-worker.js";
import type { BroughtModel } from "./resident-inputs.js";
import type { TrialContext } from "./trial-context.js";

export type ReceiptEvent = Extract<TaskEvent, { type: "receipt" }>;

/** Pieces that one worker merges, by their numbers in the model. */
export interface PieceGroup {
  readonly pieces: readonly number[];
  readonly bytes: number;
}

/** Groups of less are not worth their message to a worker. */
const leastGroupBytes = 1 << 20;
/** Groups for each worker, so that all end at about the same time. */
const groupsPerWorker = 4;

/** Of output. */
export function pieceBytes({ begin, end, outputDtype }: Piece): number {
  return isDtype(outputDtype) ? (Number(end - begin) * dtypeBits(outputDtype)) / 8 : 0;
}

/** Consecutive pieces together until they have enough bytes; the groups with the most bytes first. */
export function groupPieces(pieces: readonly Piece[], workers: number): readonly PieceGroup[] {
  const sizes = pieces.map(pieceBytes);
  const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
  const enough = Math.max(leastGroupBytes, total / (groupsPerWorker * workers));
  const groups: { pieces: number[]; bytes: number }[] = [];
  for (const [piece, bytes] of sizes.entries()) {
    const last = groups.at(-1);
    if (last === undefined || last.bytes + bytes > enough) groups.push({ pieces: [piece], bytes });
    else {
      last.pieces.push(piece);
      last.bytes += bytes;
    }
  }
  return groups.toSorted((left, right) => right.bytes - left.bytes);
}

/** Merges a model into files, which exist with their headers and sizes. Receipts name the model's pieces. */
export async function mergeModel(
  { seed, programs }: MergedModel,
  { sources, pieces }: Pick<BroughtModel, "sources" | "pieces">,
  paths: readonly string[],
  { context, onReceipt }: { readonly context: TrialContext; readonly onReceipt: (event: ReceiptEvent) => void },
): Promise<void> {
  const { pool, scratch, signal, job, fence, trial, signs, progress } = context;
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  // One for each group.
  setMaxListeners(0, either);
  const runs = groupPieces(pieces, pool.workers).map(async (group) => {
    const request = create(MergeRequestSchema, {
      ...{ job, fence, seed, unit: trial, sources: [...sources], programs },
      pieces: group.pieces.flatMap((piece) => pieces[piece] ?? []),
      task: { case: "writeFiles", value: { paths: [...paths] } },
    });
    const onEvent = (event: TaskEvent): void => {
      if (event.type === "progress") progress(event.bytesRead, event.bytesWritten, event.ioSeconds);
      if (event.type !== "receipt") return;
      const { piece = 0 } = event.receipt;
      onReceipt({ type: "receipt", receipt: { ...event.receipt, piece: group.pieces[piece] ?? 0 } });
    };
    const onStart = signs.queued();
    try {
      await pool.run(request, { onStart, onEvent }, either, scratch.path);
    } catch (error) {
      // What the others would write, nobody wants.
      failed.abort(error);
      throw error;
    } finally {
      onStart();
    }
  });
  const [first] = (await Promise.allSettled(runs)).filter((run) => run.status === "rejected");
  if (first !== undefined) throw failed.signal.reason ?? first.reason;
}
