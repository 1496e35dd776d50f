import { formatBytes } from "../../shared/bytes.js";
import { AmalgamError } from "../../shared/errors.js";

/** Memory that something is held in. Whoever got it is its first user. */
export class Holding {
  readonly bytes: number;
  readonly #account: Account;
  #users = 1;

  constructor(bytes: number, account: Account) {
    this.bytes = bytes;
    this.#account = account;
  }

  get isUsed(): boolean {
    return this.#users > 0;
  }

  /** One more user: it stays until all have released it. */
  use(): void {
    this.#users += 1;
    this.#account.used(this);
  }

  /** One user less. What nobody uses stays until its memory is wanted. */
  release(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#account.idle(this);
  }

  /** Gives the memory back, by whoever let go of what is in it. A second time does nothing. */
  discard(): void {
    this.#account.discarded(this);
  }
}

interface Account {
  used(holding: Holding): void;
  idle(holding: Holding): void;
  discarded(holding: Holding): void;
}

export interface WantedMemory {
  readonly bytes: number;
  /** For messages: "merge trial 7". */
  readonly act: string;
  /** What must not go to make room, asked for when the turn has come. */
  readonly beside: () => readonly Holding[];
  /** Lets go of what is in the memory: nobody uses it, and others want it. */
  readonly drop: () => void;
}

interface Waiting extends WantedMemory {
  readonly grant: (holding: Holding) => void;
}

/**
 * Who holds how much of a fixed amount of memory. What nobody uses is kept until others want its memory, the least
 * recently used going first. Whoever wants more than there is waits, first come first served.
 */
export class Ledger {
  readonly allowed: number;
  /** What nobody uses, the least recently used first, and how to let go of it. */
  readonly #idle = new Set<Holding>();
  readonly #drops = new Map<Holding, () => void>();
  readonly #line: Waiting[] = [];
  #held = 0;
  #peak = 0;

  constructor(allowed: number) {
    this.allowed = allowed;
  }

  get held(): number {
    return this.#held;
  }

  /** The most that was held at once. */
  get peak(): number {
    return this.#peak;
  }

  /**
   * Waits for memory. Fails with the signal's reason when canceled meanwhile, with `out_of_memory`, and in the details
   * what is needed and allowed, when it could not be had if nobody else held any.
   */
  take(wanted: WantedMemory, signal: AbortSignal): Promise<Holding> {
    return new Promise((resolve, reject) => {
      const needed = wanted.bytes + sum(wanted.beside());
      if (needed > this.allowed) return reject(tooLarge(wanted, needed, this.allowed));
      if (signal.aborted) return reject(AmalgamError.from(signal.reason));
      const leave = (): void => {
        this.#line.splice(this.#line.indexOf(waiting), 1);
        reject(AmalgamError.from(signal.reason));
        this.#serve();
      };
      const waiting: Waiting = {
        ...wanted,
        grant: (holding) => {
          signal.removeEventListener("abort", leave);
          resolve(holding);
        },
      };
      this.#line.push(waiting);
      signal.addEventListener("abort", leave, { once: true });
      this.#serve();
    });
  }

  /** Memory at once or none. */
  tryTake(bytes: number, drop: () => void): Holding | undefined {
    return this.#makeRoom(bytes, []) ? this.#hold(bytes, drop) : undefined;
  }

  #serve(): void {
    for (let first = this.#line[0]; first !== undefined; first = this.#line[0]) {
      if (!this.#makeRoom(first.bytes, first.beside())) return;
      this.#line.shift();
      first.grant(this.#hold(first.bytes, first.drop));
    }
  }

  #hold(bytes: number, drop: () => void): Holding {
    const holding = new Holding(bytes, {
      used: (holding) => this.#idle.delete(holding),
      idle: (holding) => {
        if (!this.#drops.has(holding)) return;
        this.#idle.add(holding);
        this.#serve();
      },
      discarded: (holding) => {
        if (this.#forget(holding)) this.#serve();
      },
    });
    this.#drops.set(holding, drop);
    this.#held += bytes;
    this.#peak = Math.max(this.#peak, this.#held);
    return holding;
  }

  /** Whether so much is free now, others having gone if they had to and could. */
  #makeRoom(bytes: number, beside: readonly Holding[]): boolean {
    const stays = new Set(beside);
    const idle = [...this.#idle].filter((holding) => !stays.has(holding));
    if (this.#held + bytes - sum(idle) > this.allowed) return false;
    for (const holding of idle) {
      if (this.#held + bytes <= this.allowed) break;
      const drop = this.#drops.get(holding);
      this.#forget(holding);
      drop?.();
    }
    return true;
  }

  #forget(holding: Holding): boolean {
    if (!this.#drops.delete(holding)) return false;
    this.#idle.delete(holding);
    this.#held -= holding.bytes;
    return true;
  }
}

function tooLarge({ act, bytes }: WantedMemory, needed: number, allowed: number): AmalgamError {
  const batches = needed === bytes ? "" : ` and ${formatBytes(needed - bytes)} for its batches`;
  return new AmalgamError(
    "out_of_memory",
    `Cannot ${act} in memory: it needs ${formatBytes(bytes)} for its weights${batches}, the agent may use ${formatBytes(allowed)}; give it more ("--trial-memory" of an agent)`,
    { details: { needed: String(needed), allowed: String(allowed) } },
  );
}

function sum(holdings: readonly Holding[]): number {
  return holdings.reduce((total, { bytes }) => total + bytes, 0);
}
