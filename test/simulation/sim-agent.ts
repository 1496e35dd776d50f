import type { PieceResult } from "../../coordinator/assemble/pieces.js";
import type { Unit } from "../../coordinator/plan/types.js";
import { Fences, type Order } from "../../node-agent/fences.js";
import { joinCluster, type Membership } from "../../node-agent/membership/join-cluster.js";
import { AmalgamError } from "../../shared/errors.js";
import { kernelsVersion, protocolVersion } from "../../shared/rpc/version.js";
import type { Auditor } from "./auditor.js";
import type { Bugs } from "./bugs.js";
import type { SimProcess } from "./process.js";
import type { SharedDisk } from "./shared-disk.js";
import { blocksOf, receiptOf, type SimJob } from "./sim-plan.js";

export interface SimRequest {
  readonly order: Order;
  readonly unit: Unit;
  /** The folder of the output's files. */
  readonly path: string;
}

export interface SimAgentOptions {
  readonly slots: number;
  /** Bytes read and written per millisecond. */
  readonly speed: number;
  readonly beatMs: number;
  readonly disk: SharedDisk;
  readonly job: SimJob;
  /** What a unit's own misfortune is, asked when it starts. */
  readonly mishap: (agent: string, unit: Unit) => Mishap | undefined;
  readonly auditor: Auditor;
  readonly bugs: Bugs;
}

/** `hang`: never ends. `fail`: with an error. `mangle`: the answer is damaged on its way. `rot`: the disk lost bytes. */
export type Mishap = "hang" | "fail" | "mangle" | "rot";

/** What is found where bytes were lost. */
const rotten = 7;

/** An agent without gRPC and workers: slots, a speed, and the real rules for whose orders are obeyed. */
export class SimAgent {
  readonly process: SimProcess;
  readonly address: string;
  readonly options: SimAgentOptions;
  readonly #fences = new Fences();
  readonly #running = new Set<Task>();
  readonly #waiting: Task[] = [];
  #membership: Membership | undefined;
  #isDraining = false;

  constructor(process: SimProcess, options: SimAgentOptions) {
    this.process = process;
    this.address = `${process.name}:1`;
    this.options = options;
  }

  /** Joins the cluster, trying again while the engine does not answer. */
  async start(): Promise<void> {
    const { name, instance, clock, bus } = this.process;
    const { slots, beatMs } = this.options;
    const description = {
      name,
      instance,
      role: "agent" as const,
      address: this.address,
      host: name,
      pid: 1,
      version: "1",
      protocol: protocolVersion,
      kernels: kernelsVersion,
      slots,
      memoryBytes: 0,
      roots: [],
      startedAt: "",
    };
    const options = {
      clock,
      beatMs,
      running: () => this.#running.size,
      onDrain: () => undefined,
      onReplaced: () => undefined,
    };
    for (;;) {
      try {
        this.#membership = await joinCluster(bus, description, options);
        return;
      } catch {
        await this.process.effect(beatMs, () => undefined);
      }
    }
  }

  /** What SIGTERM does: nothing new, what runs is finished, then the process is gone. */
  async drain(gone: () => void): Promise<void> {
    this.#isDraining = true;
    await this.#membership?.drain();
    while (this.#running.size > 0) await this.process.effect(200, () => undefined);
    await this.#membership?.[Symbol.asyncDispose]();
    gone();
  }

  /** Says who it is, if the order is one to obey. */
  describe(order: Order): number {
    if (!this.options.bugs.agentsIgnoreFences) this.#fences.admit(order)[Symbol.dispose]();
    return this.options.slots;
  }

  /** `answer` is called once, unless the unit hangs or the process dies. Returns what cancels it. */
  merge(request: SimRequest, answer: (reply: Reply) => void): () => void {
    const task = new Task(request, answer);
    if (this.#isDraining) task.end(new AmalgamError("agent_draining", `Agent ${this.process.name} is shutting down`));
    try {
      // It is not disposed of: an order that is over has nothing left to stop.
      const { signal } = this.#fences.admit(this.options.bugs.agentsIgnoreFences ? undefined : request.order);
      signal.addEventListener("abort", () => this.#end(task, AmalgamError.from(signal.reason)), { once: true });
    } catch (error) {
      task.end(AmalgamError.from(error));
    }
    this.#waiting.push(task);
    this.#startNext();
    return () => this.#end(task);
  }

  #startNext(): void {
    while (this.#running.size < this.options.slots) {
      const task = this.#waiting.shift();
      if (task === undefined) return;
      if (task.isOver) continue;
      this.#running.add(task);
      this.options.auditor.obeyed(this.process.instance, task.request.order.fence);
      this.#work(task);
    }
  }

  #end(task: Task, reply?: Reply): void {
    task.end(reply);
    this.#running.delete(task);
    this.#startNext();
  }

  /** Opens the files, writes the first half of the unit, then the rest. A task that is over goes no further. */
  #work(task: Task): void {
    const { disk, job, mishap, speed } = this.options;
    const { unit, path } = task.request;
    const mine = mishap(this.process.name, unit);
    if (mine === "hang") return;
    const folder = disk.get(path);
    if (folder === undefined) {
      this.process.later(0, () => this.#end(task, new AmalgamError("io_failed", `Cannot open ${path}: ENOENT`)));
      return;
    }
    const blocks = unit.pieces.flatMap((piece) => blocksOf(job, piece.tensor, piece));
    const half = blocks.length >> 1;
    const halfMs = (unit.bytesRead + unit.bytesWritten) / speed / 2;
    const put = (places: readonly number[]): void => {
      for (const block of places) folder.blocks[block] = job.golden[block] ?? 0;
    };
    const step = (act: () => void): void => {
      this.process.later(halfMs, () => {
        if (!task.isOver) act();
      });
    };
    step(() => {
      if (mine === "fail") return void this.#end(task, failure(unit, this.process.name));
      put(blocks.slice(0, half));
      step(() => {
        put(blocks.slice(half));
        const [first] = blocks;
        if (mine === "rot" && first !== undefined) folder.blocks[first] = rotten;
        this.#end(task, mine === "mangle" ? mangled(unit) : unit.pieces.map((piece) => receiptOf(job, piece)));
      });
    });
  }
}

type Reply = readonly PieceResult[] | AmalgamError;

/** A unit that an agent was asked for, until it has answered or nobody waits for it. */
class Task {
  readonly request: SimRequest;
  readonly #answer: (reply: Reply) => void;
  isOver = false;

  constructor(request: SimRequest, answer: (reply: Reply) => void) {
    this.request = request;
    this.#answer = answer;
  }

  end(reply?: Reply): void {
    if (this.isOver) return;
    this.isOver = true;
    if (reply !== undefined) this.#answer(reply);
  }
}

function failure({ id }: Unit, agent: string): AmalgamError {
  return new AmalgamError("io_failed", `Unit ${id} fails on ${agent}`);
}

function mangled({ id }: Unit): AmalgamError {
  return new AmalgamError("chunk_corrupt", `Unit ${id}: the CRC-32 of a chunk differs`);
}
