import { type NodeRecord, staleBeats } from "../../shared/cluster/records.js";

/** Longest pause between two beats that a reader waits out, whatever a node says of itself. */
const maxBeatMs = 60_000;

/** A node that is alive, as it last said itself. */
export interface LiveNode {
  readonly record: NodeRecord;
}

interface Heard {
  record: NodeRecord;
  /** By {@link Liveness}'s count of the time that it watched. */
  atMs: number;
  isAlive: boolean;
}

/**
 * Which nodes are alive, judged by one clock, the reader's. A node is alive once it was heard twice with something new,
 * for a record may be all that is left of a node, and until it was not heard for {@link staleBeats} of its beats.
 *
 * Only time in which beats could have been heard counts: not while the engine is out of reach, and not while the reader
 * itself was stopped. After such a time everybody gets the whole patience again.
 */
export class Liveness {
  readonly #nodes = new Map<string, Heard>();
  /** Longest time between two looks that can have been watched. */
  readonly #maxStepMs: number;
  #watchedMs = 0;
  #lookedMs: number;

  constructor(nowMs: number, maxStepMs: number) {
    this.#lookedMs = nowMs;
    this.#maxStepMs = maxStepMs;
  }

  /** Sorted by name. */
  get alive(): readonly LiveNode[] {
    return [...this.#nodes.values()]
      .filter(({ isAlive }) => isAlive)
      .map(({ record }) => ({ record }))
      .sort((left, right) => (left.record.name < right.record.name ? -1 : 1));
  }

  /** Whether it was heard of and is not gone: alive, or not heard often enough yet. */
  knows(name: string): boolean {
    return this.#nodes.has(name);
  }

  /** True when it tells something that others want to know: a node that came, or one that changed more than its beat. */
  hear(record: NodeRecord): boolean {
    const before = this.#nodes.get(record.name);
    const isAgain = before?.record.instance === record.instance && before.record.beat === record.beat;
    if (isAgain) return false;
    this.#nodes.set(record.name, { record, atMs: this.#watchedMs, isAlive: before !== undefined });
    return before !== undefined && (!before.isAlive || !sameFacts(record, before.record));
  }

  /** A node that took its leave. True when it was alive. */
  forget(name: string): boolean {
    const wasAlive = this.#nodes.get(name)?.isAlive ?? false;
    this.#nodes.delete(name);
    return wasAlive;
  }

  /** Lets time pass. The nodes that are gone since. */
  look(nowMs: number, isHearing: boolean): readonly LiveNode[] {
    const stepMs = nowMs - this.#lookedMs;
    this.#lookedMs = nowMs;
    if (!isHearing || stepMs > this.#maxStepMs) {
      for (const heard of this.#nodes.values()) heard.atMs = this.#watchedMs;
      return [];
    }
    this.#watchedMs += stepMs;
    const gone = [...this.#nodes.values()].filter(({ record, atMs }) => this.#watchedMs - atMs > patienceMs(record));
    for (const { record } of gone) this.#nodes.delete(record.name);
    return gone.filter(({ isAlive }) => isAlive).map(({ record }) => ({ record }));
  }
}

export function patienceMs(record: NodeRecord): number {
  return staleBeats * Math.min(record.beatMs, maxBeatMs);
}

/** Whether two records of a node differ in nothing but what changes all the time. */
function sameFacts(left: NodeRecord, right: NodeRecord): boolean {
  return (Object.keys(left) as (keyof NodeRecord)[]).every(
    (name) => passing.has(name) || same(left[name], right[name]),
  );
}

const passing: ReadonlySet<keyof NodeRecord> = new Set(["beat", "running"]);

/** Lists, too, are other objects in every beat. */
function same(left: unknown, right: unknown): boolean {
  if (!Array.isArray(left) || !Array.isArray(right)) return left === right;
  return left.length === right.length && left.every((item, i) => item === right[i]);
}
