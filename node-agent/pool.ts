import type { AmalgamError } from "../shared/errors.js";
import type { FactorizeRequest, MergeRequest } from "../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../shared/quote.js";
import { isRemote } from "../shared/remote/url.js";
import { loopback, type Security } from "../shared/rpc/security.js";
import { PeerFiles } from "./files/peer-files.js";
import { ServerFiles } from "./files/server-files.js";
import { IoLimit } from "./io-limit.js";
import { PoolWorker, type TaskListener } from "./pool-worker.js";
import { atMost } from "./threads.js";
import { WaitingLine } from "./waiting-line.js";
import type { Work } from "./worker-protocol.js";

export interface PoolOptions {
  /** The worker's module. It speaks worker-protocol.ts. */
  readonly entry: URL;
  /** Threads, and so units at once. They start when there is work for them. */
  readonly workers: number;
  /** For tensor data, all workers together. */
  readonly memoryBytes: number;
  /** Folders, resolved, and URLs. */
  readonly roots: readonly string[];
  /** Of connections to other agents. @default loopback alone */
  readonly security?: Security;
  /** What all workers and the readers of other agents may read and write per second. @default no limit */
  readonly ioBytesPerSecond?: number;
  /** How long a canceled worker may go on before its thread is ended: the longest tile, and then some. @default 10 s */
  readonly cancelGraceMs?: number;
  /** Limit of a worker's JavaScript heap, which holds no tensor data. @default 512 MiB */
  readonly heapMiB?: number;
}

const defaultCancelGraceMs = 10_000;
const defaultHeapMiB = 512;
/** How long threads may take to end. One that waits for storage that hangs takes for ever. */
const endMs = 2_000;

/** What may have been asked of servers and not have come, at the least. Above that it is an eighth of the memory. */
const minInFlightBytes = 16 << 20;

/** Units that may wait for a worker; a coordinator sends no more than there are workers. */
const maxQueuedPerWorker = 64;

interface Task {
  readonly work: Work;
  readonly listener: TaskListener;
}

/**
 * Worker threads that run units, one each at a time, first come first served. A worker that dies fails its unit and
 * nothing else; the next unit gets a new one.
 */
export class WorkerPool {
  /** Shared by all that reads and writes files here. */
  readonly ioLimit: IoLimit | undefined;
  readonly #options: PoolOptions;
  readonly #peers: PeerFiles;
  readonly #servers: ServerFiles;
  readonly #workers = new Set<PoolWorker>();
  readonly #line: WaitingLine<Task>;

  constructor(options: PoolOptions) {
    const { security = loopback, ioBytesPerSecond } = options;
    this.#options = options;
    this.#line = new WaitingLine(maxQueuedPerWorker * options.workers, () => this.#next());
    this.#peers = new PeerFiles({ security });
    const maxInFlightBytes = Math.max(minInFlightBytes, Math.floor(options.memoryBytes / 8));
    this.#servers = new ServerFiles(async () => {
      const { openRemoteStore } = await import("../shared/remote/open.js");
      return openRemoteStore({ maxInFlightBytes, roots: options.roots.filter(isRemote) });
    });
    this.ioLimit = ioBytesPerSecond === undefined ? undefined : IoLimit.of(ioBytesPerSecond);
  }

  /** Units that it runs at once. */
  get workers(): number {
    return this.#options.workers;
  }

  /** Units that run or wait. */
  get size(): number {
    return this.#line.size;
  }

  /**
   * Runs one unit; settles when it is done, failed, or canceled by the signal. The listener hears nothing after that.
   * Fails with the signal's reason when canceled. `scratch` is a folder that this unit may use besides the roots, resolved.
   */
  run(request: MergeRequest, listener: TaskListener, signal: AbortSignal, scratch?: string): Promise<void> {
    const work = { type: "run", request, ...(scratch === undefined ? {} : { scratch }) } as const;
    return this.#enqueue(work, `unit ${request.unit}`, listener, signal);
  }

  /** The same for one factorization. */
  factorize(request: FactorizeRequest, listener: TaskListener, signal: AbortSignal): Promise<void> {
    return this.#enqueue({ type: "factorize", request }, `factorization of ${quote(request.tensor)}`, listener, signal);
  }

  #enqueue(work: Work, label: string, listener: TaskListener, signal: AbortSignal): Promise<void> {
    const { workers } = this.#options;
    return this.#line.join({ work, listener }, signal, () => {
      return `Cannot queue ${label}: ${maxQueuedPerWorker * workers} units wait for ${workers} workers already`;
    });
  }

  /** Settles when nothing runs or waits. */
  idle(): Promise<void> {
    return this.#line.idle();
  }

  /** Ends all workers at once, those aside that do not end. Units that run or wait fail with `reason`. */
  async close(reason: AmalgamError): Promise<void> {
    this.#line.close(reason);
    await atMost(endMs, Promise.all([...this.#workers].map((worker) => worker.terminate(reason))));
    this.#peers.close();
    await atMost(endMs, this.#servers.close());
  }

  #next(): void {
    while (!this.#line.isEmpty) {
      const worker = this.#idleWorker();
      const turn = worker && this.#line.take();
      if (worker === undefined || turn === undefined) return;
      const { work, listener } = turn.work;
      worker.run(work, listener, turn.signal).then(turn.resolve, turn.reject);
    }
  }

  #idleWorker(): PoolWorker | undefined {
    for (const worker of this.#workers) if (worker.isIdle) return worker;
    if (this.#workers.size >= this.#options.workers) return undefined;
    const worker = new PoolWorker(this.#options.entry, {
      memoryBytes: Math.floor(this.#options.memoryBytes / this.#options.workers),
      roots: this.#options.roots,
      ioLimit: this.ioLimit?.state,
      peers: this.#peers,
      servers: this.#servers,
      cancelGraceMs: this.#options.cancelGraceMs ?? defaultCancelGraceMs,
      heapMiB: this.#options.heapMiB ?? defaultHeapMiB,
      onIdle: () => this.#next(),
      onExit: () => {
        this.#workers.delete(worker);
        this.#next();
      },
    });
    this.#workers.add(worker);
    return worker;
  }
}
