import { AmalgamError } from "../shared/errors.js";
import { quote } from "../shared/quote.js";

/** Who gives an order: the leader of `job` that came to power as number `fence`. */
export interface Order {
  readonly job: string;
  /** 0: nobody else can lead the job, and nothing is compared. */
  readonly fence: bigint;
}

/** Leave to work for a leader. Dispose of it when the work is over. */
export interface Admission extends Disposable {
  /** Aborted, with `fenced`, when a later leader of the job is heard. */
  readonly signal: AbortSignal;
}

export interface FencesOptions {
  /** The agent's name, for messages. */
  readonly agent?: string;
  /** Jobs remembered. @default 10,000 */
  readonly jobs?: number;
  /** Called once for every order that is refused, and for every one whose work is stopped. */
  readonly onFenced?: (error: AmalgamError, order: Order) => void;
}

const defaultJobs = 10_000;
/** The same as in the cluster's records. */
const maxJobLength = 200;

/** What is known of one job's leaders. */
interface Reign {
  fence: bigint;
  readonly running: Set<Work>;
}

interface Work {
  readonly order: Order;
  readonly controller: AbortController;
}

/**
 * The highest fence heard of each job. One that was frozen while another took over its job may wake up at any time and
 * go on giving orders: this is where they end, without asking anybody.
 */
export class Fences {
  readonly #agent: string;
  readonly #limit: number;
  readonly #onFenced: (error: AmalgamError, order: Order) => void;
  /** The least recently heard job first. */
  readonly #reigns = new Map<string, Reign>();

  constructor({ agent = "unnamed", jobs = defaultJobs, onFenced = () => undefined }: FencesOptions = {}) {
    this.#agent = agent;
    this.#limit = jobs;
    this.#onFenced = onFenced;
  }

  /** Jobs remembered. */
  get size(): number {
    return this.#reigns.size;
  }

  /** Fails with `fenced` when a later leader of the job has been heard. */
  admit(order: Order | undefined): Admission {
    const controller = new AbortController();
    if (order === undefined || order.job === "" || order.fence === 0n) {
      return { signal: controller.signal, [Symbol.dispose]: () => undefined };
    }
    if (order.job.length > maxJobLength) {
      throw new AmalgamError("usage", `Cannot take orders of job ${quote(order.job)}: its name is too long`);
    }
    const reign = this.#hear(order);
    const work = { order, controller };
    reign.running.add(work);
    return { signal: controller.signal, [Symbol.dispose]: () => void reign.running.delete(work) };
  }

  /** Takes note of the order's leader, and stops what is done for those before. */
  #hear(order: Order): Reign {
    const known = this.#reigns.get(order.job);
    if (known !== undefined && order.fence < known.fence) throw this.#fenced("refused", order, known.fence);
    const reign = known ?? { fence: order.fence, running: new Set<Work>() };
    this.#reigns.delete(order.job);
    this.#reigns.set(order.job, reign);
    if (order.fence > reign.fence) {
      reign.fence = order.fence;
      for (const work of reign.running) {
        reign.running.delete(work);
        work.controller.abort(this.#fenced("stopped", work.order, order.fence));
      }
    }
    this.#forget(order.job);
    return reign;
  }

  /** A job with running work is never forgotten; how much work runs is limited elsewhere. */
  #forget(except: string): void {
    for (const [job, { running }] of this.#reigns) {
      if (this.#reigns.size <= this.#limit) return;
      if (running.size === 0 && job !== except) this.#reigns.delete(job);
    }
  }

  #fenced(did: "refused" | "stopped", order: Order, leader: bigint): AmalgamError {
    const error = new AmalgamError(
      "fenced",
      `Agent ${quote(this.#agent)} ${did} work of job ${quote(order.job)}: leader ${leader} gives orders by now, this was leader ${order.fence}, which must stop`,
      { details: { agent: this.#agent, job: order.job, fence: String(order.fence), leader: String(leader) } },
    );
    this.#onFenced(error, order);
    return error;
  }
}
