import type { Clock, Timer } from "../../shared/clock.js";

/**
 * Time that passes only when it is told to. Timers run in order of their time, those of the same time in the order in
 * which they were set, and all promises settle between two of them; so the same program always takes the same course.
 */
export class VirtualClock implements Clock {
  #now = 0;
  #set = 0;
  /** The next one last. */
  readonly #timers: VirtualTimer[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): Timer {
    this.#set += 1;
    const timer = new VirtualTimer(this.#now + Math.max(0, ms), this.#set, run);
    this.#timers.splice(this.#placeOf(timer), 0, timer);
    return timer;
  }

  /** Lets `ms` pass: runs every timer that falls due, those too that are set on the way. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    while (await this.#runNext(end)) await settle();
    this.#now = end;
  }

  /** Lets time pass until `isDone()`, at most `limitMs`. False: it never was. */
  async advanceUntil(isDone: () => boolean, limitMs: number): Promise<boolean> {
    const end = this.#now + limitMs;
    await settle();
    while (!isDone()) {
      if (!(await this.#runNext(end))) {
        this.#now = end;
        return isDone();
      }
      await settle();
    }
    return true;
  }

  async #runNext(end: number): Promise<boolean> {
    while (this.#timers.at(-1)?.isCleared) this.#timers.pop();
    const next = this.#timers.at(-1);
    if (next === undefined || next.at > end) return false;
    this.#timers.pop();
    this.#now = next.at;
    next.run();
    return true;
  }

  #placeOf(timer: VirtualTimer): number {
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#timers[middle];
      if (other !== undefined && (other.at > timer.at || (other.at === timer.at && other.order > timer.order))) {
        low = middle + 1;
      } else high = middle;
    }
    return low;
  }
}

class VirtualTimer implements Timer {
  isCleared = false;

  constructor(
    readonly at: number,
    readonly order: number,
    readonly run: () => void,
  ) {}

  clear(): void {
    this.isCleared = true;
  }
}

/** Everything that can go on without time passing has gone on. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * The clock of one process: it may run fast or slow, and the process may be stopped (SIGSTOP). While it is, its timers do
 * not run and what comes in waits; time passes nevertheless. A process that is never thawed was killed.
 */
export class ProcessClock implements Clock {
  readonly #world: VirtualClock;
  readonly #rate: number;
  readonly #origin: number;
  #isFrozen = false;
  /** What waits for the thaw. */
  readonly #incoming: (() => void)[] = [];
  readonly #timers: (() => void)[] = [];

  /** `rate`: its seconds per second; `origin`: what it showed at the beginning. */
  constructor(world: VirtualClock, options: { readonly rate?: number; readonly origin?: number } = {}) {
    this.#world = world;
    this.#rate = options.rate ?? 1;
    this.#origin = options.origin ?? 0;
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  now(): number {
    return this.#origin + this.#world.now() * this.#rate;
  }

  after(ms: number, run: () => void): Timer {
    let isCleared = false;
    const timer = this.#world.after(ms / this.#rate, () => {
      this.whenRunning(() => {
        if (!isCleared) run();
      }, "timer");
    });
    return {
      clear: () => {
        isCleared = true;
        timer.clear();
      },
    };
  }

  /** Runs it now; in a stopped process, when it is thawed: what came in before the timers, which is the harder case. */
  whenRunning(run: () => void, kind: "incoming" | "timer" = "incoming"): void {
    if (!this.#isFrozen) run();
    else if (kind === "timer") this.#timers.push(run);
    else this.#incoming.push(run);
  }

  freeze(): void {
    this.#isFrozen = true;
  }

  async thaw(): Promise<void> {
    this.#isFrozen = false;
    for (const run of [...this.#incoming.splice(0), ...this.#timers.splice(0)]) {
      this.whenRunning(run);
      await settle();
    }
  }
}
