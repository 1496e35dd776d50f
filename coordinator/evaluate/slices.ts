import type { Dispatchable } from "../dispatch/dispatchable.js";
import type { Measure, PreparedTask } from "./types.js";

/** Some batches of one task on one model: what an agent is sent at once. */
export interface Slice extends Dispatchable {
  /** Into the list of models. */
  readonly model: number;
  /** Into the model's prepared tasks. */
  readonly task: number;
  /** All its batches are of this measure. */
  readonly measure: Measure;
  /** Into {@link PreparedTask.batches}, ascending. */
  readonly batches: readonly number[];
}

/** A model's part of an evaluation, as far as cutting goes. */
export interface Sliceable {
  /** For how long an attempt may take: the model's elements. */
  readonly parameters: number;
  readonly tasks: readonly Pick<PreparedTask, "batches">[];
}

export interface SliceOptions {
  /** That work at the same time. */
  readonly agents: number;
  /** Batches that are done already, by model and task. @default none */
  readonly isDone?: (model: number, task: number, batch: number) => boolean;
}

/** Enough slices for agents of unlike speed to end together. */
const slicesPerAgent = 4;
/** Inputs of one slice: half of what a message may have, which leaves room for graphs. */
const maxSliceBytes = 8 << 20;
/** Batches of one slice at most: the answers come one by one, but all inputs are made first. */
const maxSliceBatches = 256;

/**
 * Cuts what is left to do into slices, model by model and task by task, so that an agent keeps a model for as long as it
 * can. Which slice a batch is in does not change what comes out of it.
 */
export function cutSlices(models: readonly Sliceable[], options: SliceOptions): readonly Slice[] {
  const slices: Slice[] = [];
  models.forEach(({ tasks, parameters }, model) => {
    tasks.forEach(({ batches }, task) => {
      const left = [...batches.keys()].filter((batch) => options.isDone?.(model, task, batch) !== true);
      const total = left.reduce((sum, batch) => sum + (batches[batch]?.cost ?? 0), 0);
      const enough = total / (options.agents * slicesPerAgent);
      let open: number[] = [];
      let [cost, bytes] = [0, 0];
      const close = (): void => {
        const measure = batches[open[0] ?? -1]?.measure;
        if (measure === undefined) return;
        // A multiply and an add per element and token, in thousands: an attempt may take what a slow machine needs for it.
        const bytesRead = bytes + Math.ceil((2 * parameters * cost) / 1000);
        slices.push({ id: slices.length, model, task, measure, batches: open, bytesRead, bytesWritten: 0 });
        open = [];
        [cost, bytes] = [0, 0];
      };
      for (const batch of left) {
        const plan = batches[batch];
        if (plan === undefined) continue;
        const isOther = open.length > 0 && batches[open[0] ?? -1]?.measure !== plan.measure;
        const isFull = cost >= enough || bytes + plan.bytes > maxSliceBytes || open.length === maxSliceBatches;
        if (open.length > 0 && (isOther || isFull)) close();
        open.push(batch);
        cost += plan.cost;
        bytes += plan.bytes;
      }
      close();
    });
  });
  return slices;
}
