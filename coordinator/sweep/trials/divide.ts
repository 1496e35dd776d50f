import { create } from "@bufbuild/protobuf";
import { type TrialTask, TrialTaskSchema, TryRequestSchema } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { type BatchBlob, type Blob, keyOf } from "./blobs.js";
import type { TrialRequest } from "./request.js";

/**
 * A trial in several requests, none of whose blobs have more bytes than an agent may hold of them: the agent keeps the
 * merged model from one to the next. A single batch with its graphs is not divided, whatever it has.
 */
export function divideRequest(request: TrialRequest, allowedBytes: number): readonly TrialRequest[] {
  const known: KnownBlobs = {
    all: byKey(request.blobs),
    batches: request.tasks.map(({ batches }) => byKey([...batches.values()])),
  };
  const requests: TrialRequest[] = [];
  let part = new Part(request, known);
  for (const [number, task] of request.message.tasks.entries()) {
    for (const batch of task.batches) {
      if (!part.isEmpty && part.bytesWith(task, batch) > allowedBytes) {
        requests.push(part.request());
        part = new Part(request, known);
      }
      part.add(number, task, batch);
    }
  }
  return [...requests, part.request()];
}

/** By their keys. */
interface KnownBlobs {
  readonly all: ReadonlyMap<string, Blob>;
  /** By the task's number. */
  readonly batches: readonly ReadonlyMap<string, BatchBlob>[];
}

function byKey<B extends Blob>(blobs: readonly B[]): ReadonlyMap<string, B> {
  return new Map(blobs.map((blob) => [keyOf(blob), blob]));
}

/** Some batches of a trial, with the graphs that they are run on. */
class Part {
  readonly #whole: TrialRequest;
  readonly #known: KnownBlobs;
  readonly #blobs = new Map<string, Blob>();
  /** Batches by the task's number. */
  readonly #batches = new Map<number, Uint8Array[]>();
  #bytes = 0;

  constructor(whole: TrialRequest, known: KnownBlobs) {
    this.#whole = whole;
    this.#known = known;
  }

  get isEmpty(): boolean {
    return this.#batches.size === 0;
  }

  bytesWith(task: TrialTask, batch: Uint8Array): number {
    return this.#missing(task, batch).reduce((total, { bytes }) => total + bytes, this.#bytes);
  }

  add(number: number, task: TrialTask, batch: Uint8Array): void {
    for (const blob of this.#missing(task, batch)) {
      this.#blobs.set(keyOf(blob), blob);
      this.#bytes += blob.bytes;
    }
    const batches = this.#batches.get(number);
    if (batches === undefined) this.#batches.set(number, [batch]);
    else batches.push(batch);
  }

  request(): TrialRequest {
    const { message, unit, tasks } = this.#whole;
    const held = [...this.#batches].flatMap(([number, batches]) => {
      const [task, expected] = [message.tasks[number], tasks[number]];
      return task === undefined || expected === undefined ? [] : [{ number, task, expected, batches }];
    });
    return {
      unit,
      message: create(TryRequestSchema, {
        ...message,
        tasks: held.map(({ task, batches }, i) => create(TrialTaskSchema, { ...task, task: i, batches })),
      }),
      tasks: held.map(({ number, expected, batches }) => {
        const own = batches.flatMap((digest) => this.#known.batches[number]?.get(keyOf({ digest })) ?? []);
        return { ...expected, batches: new Map(own.map((blob) => [blob.batch, blob])) };
      }),
      blobs: [...this.#blobs.values()],
    };
  }

  #missing({ graphs }: TrialTask, batch: Uint8Array): readonly Blob[] {
    const keys = new Set([...graphs.map(({ model }) => model), batch].map((digest) => keyOf({ digest })));
    return [...keys].flatMap((key) => (this.#blobs.has(key) ? [] : (this.#known.all.get(key) ?? [])));
  }
}
