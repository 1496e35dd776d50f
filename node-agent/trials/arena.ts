import { closeSync, ftruncateSync, openSync, rmSync, statSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { AmalgamError } from "../../shared/errors.js";
import {
  type MergedModel,
  MergeRequestSchema,
  type SourceFile,
  SourceFileSchema,
  type TensorSource,
} from "../../shared/gen/amalgam/v1/agent_pb.js";
import { ProgramSchema } from "../../shared/gen/amalgam/v1/program_pb.js";
import { programToProto } from "../../shared/rpc/program-message.js";
import type { Holding } from "./ledger.js";
import type { TrialContext } from "./trial-context.js";
import type { Turns } from "./turns.js";

/** A whole input that trials want in memory. */
export interface WantedInput {
  readonly key: string;
  /** Of the tensor that it is of, for messages. */
  readonly tensor: string;
  readonly input: TensorSource;
  readonly shape: readonly bigint[];
  /** As it is read: F32 when it is put together. */
  readonly dtype: string;
  readonly bytes: number;
}

/** Where an input begins in an arena's file. */
export type Places = ReadonlyMap<string, number>;

/** Inputs begin at multiples of so many bytes. */
const alignment = 64;

/** Where each input begins, and where the last one ends. */
export function packInputs(inputs: readonly WantedInput[]): { readonly places: Places; readonly bytes: number } {
  const places = new Map<string, number>();
  let bytes = 0;
  for (const input of inputs) {
    places.set(input.key, bytes);
    bytes += Math.ceil(input.bytes / alignment) * alignment;
  }
  return { places, bytes };
}

export interface ArenaParts {
  readonly holding: Holding;
  readonly model: MergedModel;
  /** Of all arenas: one takes its turn to be brought. */
  readonly turns: Turns;
  /** Nobody can use it any more. */
  readonly onGone: () => void;
}

/**
 * Some inputs in one file in memory, written once. They are brought there while anybody waits for them, and stay until
 * their memory is wanted.
 */
export class Arena {
  readonly path: string;
  readonly places: Places;
  readonly bytes: number;
  readonly holding: Holding;
  /** Resolves when a worker has begun to bring them, or none will: before that, nothing tells of progress. */
  readonly begun: Promise<void>;
  /** Whether the inputs are there: they are not when the folder was full. Fails when they cannot be read. */
  readonly ready: Promise<boolean>;
  readonly #stop = new AbortController();
  readonly #listeners = new Set<() => void>();
  #source: SourceFile | undefined;
  #isOver = false;

  constructor(path: string, inputs: readonly WantedInput[], parts: ArenaParts, context: TrialContext) {
    const { places, bytes } = packInputs(inputs);
    this.path = path;
    this.places = places;
    this.bytes = bytes;
    this.holding = parts.holding;
    let begin: () => void = () => undefined;
    this.begun = new Promise((resolve) => {
      begin = resolve;
    });
    const brought = parts.turns.take(() => this.#bring(inputs, parts.model, context, begin));
    this.ready = brought.finally(begin).then(
      () => true,
      (reason: unknown) => {
        parts.onGone();
        this.remove();
        this.holding.discard();
        const error = AmalgamError.from(reason);
        if (error.code === "out_of_space") return false;
        throw error;
      },
    );
    // Who waits for it hears of it; that may be nobody any more.
    this.ready.catch(() => undefined);
  }

  /** The file as units are told of it, once it is ready. */
  get source(): SourceFile | undefined {
    return this.#source;
  }

  /** `onProgress` is called as it is brought. */
  join(onProgress: () => void): void {
    this.holding.use();
    this.#listeners.add(onProgress);
  }

  /** What nobody waits for is not brought any further. */
  leave(onProgress: () => void): void {
    this.#listeners.delete(onProgress);
    if (this.#listeners.size === 0 && !this.#isOver) {
      this.#stop.abort(new AmalgamError("canceled", "Nobody waits for the inputs any more"));
    }
    this.holding.release();
  }

  /** Whether it is there or on its way. */
  get isWanted(): boolean {
    return !this.#stop.signal.aborted;
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }

  async #bring(
    inputs: readonly WantedInput[],
    model: MergedModel,
    context: TrialContext,
    onStart: () => void,
  ): Promise<void> {
    const { pool, scratch, job, fence, trial } = context;
    try {
      this.#stop.signal.throwIfAborted();
      const descriptor = openSync(this.path, "wx", 0o600);
      ftruncateSync(descriptor, this.bytes);
      closeSync(descriptor);
      const request = create(MergeRequestSchema, {
        job,
        fence,
        unit: trial,
        sources: model.sources,
        programs: [copy],
        pieces: inputs.map(({ key, tensor, input, shape, dtype }) => {
          const end = shape.reduce((product, dimension) => product * dimension, 1n);
          const outputOffset = BigInt(this.places.get(key) ?? 0);
          return {
            tensor,
            shape: [...shape],
            end,
            inputs: [input],
            outputDtype: dtype,
            outputOffset,
            modelElements: end,
          };
        }),
        task: { case: "writeFiles", value: { paths: [this.path] } },
      });
      const onEvent = (): void => {
        for (const listener of this.#listeners) listener();
      };
      await pool.run(request, { onStart, onEvent }, this.#stop.signal, scratch.path);
      const { size, mtimeMs } = statSync(this.path);
      this.#source = create(SourceFileSchema, { path: this.path, bytes: BigInt(size), modifiedMs: mtimeMs });
    } finally {
      this.#isOver = true;
      this.holding.release();
    }
  }
}

/** Its output is its only input, read as pieces read it. */
const copy = create(
  ProgramSchema,
  programToProto({ nodes: [{ op: "input", args: [], value: 0 }], output: 0, inputs: 1, parameters: [] }),
);
