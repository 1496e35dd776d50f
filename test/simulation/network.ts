import { AmalgamError } from "../../shared/errors.js";
import type { SimProcess } from "./process.js";
import type { VirtualClock } from "./virtual-clock.js";

/** What one process asks of another. */
interface Call {
  readonly from: SimProcess;
  readonly to: SimProcess;
  readonly fail: (error: AmalgamError) => void;
  /** Tells the other side that nobody waits for it any more. */
  readonly abandon: () => void;
  /** The connection is found dead after a while of silence. */
  isSuspect: boolean;
}

/** gRPC's keepalive: 4 seconds of silence, 2 more for an answer. */
const keepaliveMs = 6_000;

/** Carries messages, or does not. Between two processes they may be late and lost; connections may be cut. */
export class Network {
  readonly #world: VirtualClock;
  readonly #random: () => number;
  readonly #cuts = new Set<string>();
  readonly #calls = new Set<Call>();
  /** The part of all answers that is lost with its connection. */
  lostPart = 0;

  constructor(world: VirtualClock, random: () => number) {
    this.#world = world;
    this.#random = random;
  }

  /** Calls that are not over. */
  get open(): number {
    return this.#calls.size;
  }

  isCut(one: string, other: string): boolean {
    return this.#cuts.has(pairOf(one, other));
  }

  cut(one: string, other: string): void {
    this.#cuts.add(pairOf(one, other));
    this.changed();
  }

  heal(one: string, other: string): void {
    this.#cuts.delete(pairOf(one, other));
  }

  healAll(): void {
    this.#cuts.clear();
  }

  /** Delivered if the connection stands then, and when the receiver runs. */
  send(from: SimProcess, to: SimProcess, deliver: () => void): void {
    const ms = 0.2 + 2 * this.#random();
    this.#world.after(ms, () => {
      if (!to.isDead && !this.isCut(from.name, to.name)) to.clock.whenRunning(deliver);
    });
  }

  /** An answer on its way back; false when it, and the connection with it, is lost. */
  get isAnswerKept(): boolean {
    return this.lostPart === 0 || this.#random() >= this.lostPart;
  }

  /** Keeps an eye on a call: `fail` is called, once at most, when the connection turns out to be dead. Returns its end. */
  watch(from: SimProcess, to: SimProcess, { fail, abandon }: Pick<Call, "fail" | "abandon">): () => void {
    const call: Call = { from, to, fail, abandon, isSuspect: false };
    this.#calls.add(call);
    this.#look(call);
    return () => void this.#calls.delete(call);
  }

  /** A process was stopped or killed, or a connection cut. */
  changed(): void {
    for (const call of this.#calls) {
      if (!call.from.isDead) this.#look(call);
      else if (this.#calls.delete(call)) this.send(call.from, call.to, call.abandon);
    }
  }

  #look(call: Call): void {
    if (call.isSuspect || this.#isAlive(call)) return;
    call.isSuspect = true;
    // Its kernel says so at once when a process is gone, as long as it can.
    const isReset = call.to.isDead && !this.isCut(call.from.name, call.to.name);
    this.#world.after(isReset ? 1 : keepaliveMs, () => {
      call.isSuspect = false;
      if (!this.#calls.has(call) || this.#isAlive(call)) return;
      this.#calls.delete(call);
      const error = new AmalgamError("agent_lost", `No answer from ${call.to.name}`);
      if (!call.from.isDead) call.from.clock.whenRunning(() => call.fail(error));
    });
  }

  #isAlive({ from, to }: Call): boolean {
    return to.isRunning && !this.isCut(from.name, to.name);
  }
}

function pairOf(one: string, other: string): string {
  return one < other ? `${one}|${other}` : `${other}|${one}`;
}
