import type { MemoryBus, MemoryEngine } from "./memory-bus.js";
import { ProcessClock, type VirtualClock } from "./virtual-clock.js";

/**
 * A process of the simulated cluster. Whatever comes to it goes through its clock, so that it can be stopped, go on, and
 * be killed at any moment; one that was killed is never heard of again, and what it had in memory is gone.
 */
export class SimProcess {
  readonly name: string;
  readonly instance: string;
  readonly clock: ProcessClock;
  readonly bus: MemoryBus;
  readonly #world: VirtualClock;
  #isDead = false;

  constructor(world: VirtualClock, engine: MemoryEngine, name: string, options: { instance: string; rate: number }) {
    this.#world = world;
    this.name = name;
    this.instance = options.instance;
    this.clock = new ProcessClock(world, { rate: options.rate });
    this.bus = engine.client(name, this.clock);
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  get isRunning(): boolean {
    return !this.#isDead && !this.clock.isFrozen;
  }

  kill(): void {
    this.#isDead = true;
    this.clock.freeze();
    void this.bus[Symbol.asyncDispose]();
  }

  freeze(): void {
    this.clock.freeze();
  }

  thaw(): void {
    if (!this.#isDead) void this.clock.thaw();
  }

  /** Runs it here after a while of the world's time; later, if the process is stopped then; never, if it is dead. */
  later(ms: number, run: () => void): void {
    this.#world.after(ms, () => {
      if (!this.#isDead) this.clock.whenRunning(run);
    });
  }

  /** Something that takes a while and has its effect at the end of it, as a call to the operating system. */
  effect<T>(ms: number, act: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.later(ms, () => {
        try {
          resolve(act());
        } catch (error) {
          reject(error as Error);
        }
      });
    });
  }
}
