import { create } from "@bufbuild/protobuf";
import { type TrialTask, TrialTaskSchema, TryRequestSchema } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { type Blob, keyOf } from "./blobs.js";
import type { TrialRequest } from "./request.js";

/**
 * A trial in several requests, none of whose blobs have more bytes than an agent may hold of them: the agent keeps the
 * merged model from one to the next. A single batch with its graphs is not divided, whatever it has.
 */
export function divideRequest(request: TrialRequest, allowedBytes: number): readonly TrialRequest[] {
  const blobs = new Map(request.blobs.map((blob) => [keyOf(blob), blob]));
  const requests: TrialRequest[] = [];
  let part = new Part(request, blobs);
  for (const [number, task] of request.message.tasks.entries()) {
    for (const batch of task.batches) {
      if (!part.isEmpty && part.bytesWith(task, batch) > allowedBytes) {
        requests.push(part.request());
        part = new Part(request, blobs);
      }
      part.add(number, task, batch);
    }
  }
  return [...requests, part.request()];
}

/** Some batches of a trial, with the graphs that they are run on. */
class Part {
  readonly #whole: TrialRequest;
  readonly #known: ReadonlyMap<string, Blob>;
  readonly #blobs = new Map<string, Blob>();
  /** Batches by the task's number. */
  readonly #batches = new Map<number, Uint8Array[]>();
  #bytes = 0;

  constructor(whole: TrialRequest, known: ReadonlyMap<string, Blob>) {
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
    this.#batches.set(number, [...(this.#batches.get(number) ?? []), batch]);
  }

  request(): TrialRequest {
    const { message, unit, tasks } = this.#whole;
    const held = [...this.#batches].flatMap(([number, batches]) => {
      const [task, expected] = [message.tasks[number], tasks[number]];
      return task === undefined || expected === undefined ? [] : [{ task, expected, batches }];
    });
    return {
      unit,
      message: create(TryRequestSchema, {
        ...message,
        tasks: held.map(({ task, batches }, i) => create(TrialTaskSchema, { ...task, task: i, batches })),
      }),
      tasks: held.map(({ expected, batches }) => {
        const own = new Set(batches.map((digest) => keyOf({ digest })));
        return { ...expected, batches: new Map([...expected.batches].filter(([, blob]) => own.has(keyOf(blob)))) };
      }),
      blobs: [...this.#blobs.values()],
    };
  }

  #missing({ graphs }: TrialTask, batch: Uint8Array): readonly Blob[] {
    const keys = new Set([...graphs.map(({ model }) => model), batch].map((digest) => keyOf({ digest })));
    return [...keys].flatMap((key) => (this.#blobs.has(key) ? [] : (this.#known.get(key) ?? [])));
  }
}
