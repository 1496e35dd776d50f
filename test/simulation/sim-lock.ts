import type { Authority } from "../../coordinator/assemble/lock-file.js";
import { sleep } from "../../shared/clock.js";
import { AmalgamError } from "../../shared/errors.js";
import type { SimProcess } from "./process.js";
import type { Inode, SharedDisk } from "./shared-disk.js";

/** Everything of a job that is staged stands below this. */
const root = "staging/";

const beatMs = 1_000;
const patienceMs = 5_000;
const lookMs = 1_000;

/** A call to the file system takes about so long. */
const callMs = 0.3;

export interface StagingPlace {
  readonly disk: SharedDisk;
  readonly process: SimProcess;
  /** Milliseconds since 1970, as this machine has them. */
  readonly date: () => number;
}

type Kind = "lock" | "journal" | "journal-new" | "output";

export function nameOf(kind: Kind, generation: number): string {
  return `${root}${kind}.${generation}`;
}

/** The generations of what lies there, the highest first. */
export function generationsOf(disk: SharedDisk, kind: Kind): readonly number[] {
  const prefix = `${root}${kind}.`;
  return disk
    .list(prefix)
    .map((name) => Number(name.slice(prefix.length)))
    .sort((a, b) => b - a);
}

/**
 * The lock of a staging directory, step by step as `coordinator/assemble/lock.ts` takes and gives it, on a simulated
 * disk. Between any two steps the process may be stopped.
 */
export class SimLock {
  readonly generation: number;
  readonly #place: StagingPlace;
  readonly #inode: Inode;
  readonly #holder: object;
  readonly #over = new AbortController();

  private constructor(place: StagingPlace, generation: number, inode: Inode, authority: Authority) {
    this.#place = place;
    this.generation = generation;
    this.#inode = inode;
    this.#holder = { ...authority, token: place.process.instance };
    this.#show(0);
    void this.#keepBeating();
  }

  static async take(place: StagingPlace, authority: Authority): Promise<SimLock> {
    const { disk, process } = place;
    const step = <T>(act: () => T): Promise<T> => process.effect(callMs, act);
    for (let tries = 0; tries < 20; tries += 1) {
      const [held, latest] = await step(() => [generationsOf(disk, "lock")[0], latestGeneration(disk)] as const);
      if (latest === 0) {
        const first = Math.floor(place.date());
        const begun = await step(() => (disk.list(root).length > 0 ? undefined : disk.create(nameOf("lock", first))));
        if (begun !== undefined) return new SimLock(place, first, begun, authority);
        continue;
      }
      if (held !== undefined) await waitFor(place, held, authority);
      const inode = await step(() => disk.create(nameOf("lock", latest + 1)));
      if (inode === undefined) continue;
      const lock = new SimLock(place, latest + 1, inode, authority);
      const isLatest = await step(() => latestGeneration(disk, "journal", "journal-new", "output") < lock.generation);
      if (isLatest && (await lock.isHeld())) return lock;
      await lock.release();
    }
    throw new AmalgamError("fenced", "Cannot lock: others keep taking it");
  }

  isHeld(): Promise<boolean> {
    const { disk, process } = this.#place;
    return process.effect(callMs, () => generationsOf(disk, "lock")[0] === this.generation);
  }

  async assertHeld(): Promise<void> {
    if (!(await this.isHeld())) throw this.fenced();
  }

  /** Why something failed: `fenced` once somebody else took over. */
  async reasonOf(failure: unknown): Promise<unknown> {
    const { code } = AmalgamError.from(failure);
    if (code === "fenced" || code === "canceled") return failure;
    return (await this.isHeld()) ? failure : this.fenced();
  }

  /** Earlier holders' locks are removed, so that none of them finds its own. */
  async barPredecessors(): Promise<void> {
    const { disk, process } = this.#place;
    await process.effect(callMs, () => {
      for (const other of generationsOf(disk, "lock")) if (other < this.generation) disk.unlink(nameOf("lock", other));
    });
  }

  async release(): Promise<void> {
    this.#over.abort();
    const { disk, process } = this.#place;
    await process.effect(callMs, () => disk.unlink(nameOf("lock", this.generation)));
  }

  fenced(): AmalgamError {
    return new AmalgamError("fenced", `Cannot go on: another process took over, this was ${this.generation}`);
  }

  async #keepBeating(): Promise<void> {
    const { clock } = this.#place.process;
    for (let beat = 1; !this.#over.signal.aborted; beat += 1) {
      await sleep(clock, beatMs, this.#over.signal);
      this.#show(beat);
    }
  }

  #show(beat: number): void {
    this.#inode.text = JSON.stringify({ ...this.#holder, beat });
  }
}

export function latestGeneration(disk: SharedDisk, ...kinds: readonly Kind[]): number {
  const all = kinds.length > 0 ? kinds : (["lock", "journal", "journal-new", "output"] as const);
  return Math.max(0, ...all.flatMap((kind) => generationsOf(disk, kind)));
}

/** Returns when the holder may be displaced: it leads by an earlier lease, or is silent. Throws when it may not. */
async function waitFor(place: StagingPlace, held: number, authority: Authority): Promise<void> {
  const { disk, process } = place;
  const read = (): Promise<string | undefined> => process.effect(callMs, () => disk.get(nameOf("lock", held))?.text);
  const seen = await read();
  if (seen === undefined) return;
  const holder = parseHolder(seen);
  if (holder?.job === authority.job && holder.epoch < authority.epoch) return;
  // Where nothing is written, its maker died, or writes it just now.
  const deadline = process.clock.now() + (holder === undefined ? lookMs : patienceMs);
  while (process.clock.now() < deadline) {
    await sleep(process.clock, lookMs);
    const now = await read();
    if (now === undefined) return;
    if (now === seen) continue;
    if (holder === undefined || holder.job === authority.job) throw taken(holder);
    throw new AmalgamError("output_refused", "Cannot lock: another job merges into the same output");
  }
}

function parseHolder(text: string): Authority | undefined {
  try {
    return JSON.parse(text) as Authority;
  } catch {
    return undefined;
  }
}

function taken(holder: Authority | undefined): AmalgamError {
  const by = holder === undefined ? "" : ` with epoch ${holder.epoch}`;
  return new AmalgamError("fenced", `Cannot lock: another coordinator works on the same job${by}`);
}
