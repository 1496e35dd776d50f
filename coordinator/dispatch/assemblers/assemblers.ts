import { Worker } from "node:worker_threads";
import { toBinary } from "@bufbuild/protobuf";
import { AmalgamError } from "../../../shared/errors.js";
import { MergeRequestSchema } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { currentSecurity } from "../../../shared/rpc/security.js";
import type { AttemptOptions, UnitResult } from "../attempt.js";
import type { UnitRequest } from "../request.js";
import type { AssemblerAgent, AssemblerData, FromAssembler, ToAssembler } from "./protocol.js";

interface Waiting {
  readonly resolve: (result: UnitResult | undefined) => void;
  readonly reject: (error: AmalgamError) => void;
  readonly onProgress: AttemptOptions["onProgress"];
}

type Watched = Pick<AttemptOptions, "signal" | "onProgress" | "traceparent">;

/**
 * Threads that pull streamed units from agents. One thread takes in some 0.5 GB a second, and while it does, whatever
 * else its event loop has to do waits: beats, leases, the journal. So a coordinator of a cluster leaves this to others,
 * and has as many of them as there are bytes for.
 */
export class Assemblers implements AsyncDisposable {
  readonly #threads: readonly Assembler[];

  constructor(count: number, data: AssemblerData) {
    this.#threads = Array.from({ length: count }, () => new Assembler(data));
  }

  /** As `runAttempt()` does for a unit that streams, on the thread that has least to do. */
  async run(agent: AssemblerAgent, request: UnitRequest, options: Watched): Promise<UnitResult> {
    const [first, ...others] = this.#threads;
    if (first === undefined) throw new RangeError("There are no assemblers");
    const thread = others.reduce((least, other) => (other.running < least.running ? other : least), first);
    const result = await thread.run(agent, request, options);
    if (result === undefined) throw new TypeError("An assembler answered without a result");
    return result;
  }

  /** Resolves when all that was written would survive a power cut, {@link doubtful} files excepted. */
  async sync(): Promise<void> {
    const results = await Promise.allSettled(this.#threads.map((thread) => thread.sync()));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  /** Files, by place, of whose bytes nobody knows whether they are on the disk: their sync failed, or their thread was lost. */
  get doubtful(): ReadonlySet<number> {
    return new Set(this.#threads.flatMap((thread) => [...thread.doubtful]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}

/** One thread, started when there is work for it. One that dies fails what it had and is replaced. */
class Assembler {
  readonly #data: AssemblerData;
  readonly #waiting = new Map<number, Waiting>();
  /** Files that the thread was told to write to and did not sync yet. */
  readonly #written = new Set<number>();
  readonly doubtful = new Set<number>();
  #worker: Worker | undefined;
  #ids = 0;
  #isClosed = false;

  constructor(data: AssemblerData) {
    this.#data = data;
  }

  get running(): number {
    return this.#waiting.size;
  }

  async run(
    { address, name, label, certifiedName }: AssemblerAgent,
    { unit, epoch, task, message, pieces }: UnitRequest,
    { signal, onProgress, traceparent }: Watched,
  ): Promise<UnitResult | undefined> {
    if (task.kind !== "stream") throw new TypeError("An assembler takes units that stream");
    signal?.throwIfAborted();
    for (const { file } of pieces) this.#written.add(file);
    const id = ++this.#ids;
    const cancel = (): void => this.#post({ type: "cancel", id, reason: AmalgamError.from(signal?.reason).plain });
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      return await this.#ask(
        {
          type: "run",
          task: {
            id,
            agent: { address, name, label, certifiedName },
            unit,
            epoch,
            traceparent,
            chunkBytes: task.chunkBytes,
            message: toBinary(MergeRequestSchema, message),
            pieces: pieces.map(({ schedule: _, ...piece }) => piece),
          },
        },
        id,
        onProgress,
      );
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  async sync(): Promise<void> {
    if (this.#worker === undefined) return;
    const id = ++this.#ids;
    await this.#ask({ type: "sync", id }, id);
    this.#written.clear();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#worker?.terminate();
  }

  #ask(message: ToAssembler, id: number, onProgress?: AttemptOptions["onProgress"]): Promise<UnitResult | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new AmalgamError("canceled", "The assemblers have ended"));
      this.#waiting.set(id, { resolve, reject, onProgress });
      this.#start();
      this.#post(message);
    });
  }

  #post(message: ToAssembler): void {
    this.#worker?.postMessage(message);
  }

  #start(): void {
    if (this.#worker !== undefined) return;
    const { files, security } = this.#data;
    const workerData: AssemblerData = { files, security: security && currentSecurity(security) };
    const worker = new Worker(new URL("./assembler.js", import.meta.url), { workerData });
    worker.on("message", (message: FromAssembler) => this.#hear(message));
    worker.on("error", (error) => this.#lose(worker, AmalgamError.from(error).message));
    worker.on("exit", (code) => this.#lose(worker, `it ended with code ${code}`));
    this.#worker = worker;
  }

  #hear(message: FromAssembler): void {
    const waiting = this.#waiting.get(message.id);
    if (message.type === "progress") {
      waiting?.onProgress?.(message.bytesRead, message.bytesWritten);
      return;
    }
    this.#waiting.delete(message.id);
    if (message.type === "failed") for (const file of message.unsynced ?? []) this.doubtful.add(file);
    if (message.type === "done") waiting?.resolve(message.result);
    else waiting?.reject(AmalgamError.fromPlain(message.error));
  }

  #lose(worker: Worker, problem: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    if (!this.#isClosed) for (const file of this.#written) this.doubtful.add(file);
    this.#written.clear();
    const error = new AmalgamError("internal", `An assembling thread was lost: ${problem}`);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
