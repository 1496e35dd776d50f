import type { PieceResult, Pieces } from "../../coordinator/assemble/pieces.js";
import type { ElementRange } from "../../coordinator/plan/ranges.js";
import type { Unit } from "../../coordinator/plan/types.js";
import type { Inode, SharedDisk } from "./shared-disk.js";
import { generationsOf } from "./sim-lock.js";
import { blocksOf, type SimJob } from "./sim-plan.js";

type Place = { readonly tensor: number } & ElementRange;

/** Attempts at one unit at once: the first, and one that takes over from a straggler. */
const maxAttemptsAtOnce = 2;

/** Watches everything that coordinators do to the output, and knows what must never happen. */
export class Auditor {
  readonly #job: SimJob;
  readonly #disk: SharedDisk;
  readonly #say: (line: string) => void;
  /** Blocks whose piece is in the journal for good: nobody may do them again, nobody may forget them. */
  readonly #accepted = new Set<number>();
  readonly #running = new Map<string, Set<AbortSignal>>();
  readonly #fences = new Map<string, bigint>();
  readonly #whenLed: (() => void)[] = [];
  #publishes = 0;
  readonly violations: string[] = [];

  constructor(job: SimJob, disk: SharedDisk, say: (line: string) => void) {
    this.#job = job;
    this.#disk = disk;
    this.#say = say;
  }

  /** Calls `run` once, when the next leader begins. */
  whenLed(run: () => void): void {
    this.#whenLed.push(run);
  }

  /** Everything counts that the leader of the latest generation was told is safe. What others do is for nothing. */
  accepted(generation: number, pieces: readonly PieceResult[]): void {
    if (generationsOf(this.#disk, "lock")[0] !== generation) return;
    for (const block of this.#blocks(pieces)) this.#accepted.add(block);
  }

  /** Pieces whose bytes were found changed are to be done again. */
  dropped(pieces: readonly Place[]): void {
    for (const block of this.#blocks(pieces)) this.#accepted.delete(block);
  }

  /** A leader has read the journal and goes on from there. */
  led(leader: string, generation: number, pieces: Pieces): void {
    for (const run of this.#whenLed.splice(0)) run();
    this.#say(`${leader} leads as ${generation}, ${[...pieces.done.values()].flat().length} pieces are in place`);
    const known = new Set(
      [...pieces.done].flatMap(([tensor, list]) => this.#blocks(list.map((piece) => ({ ...piece, tensor })))),
    );
    const lost = [...this.#accepted].filter((block) => !known.has(block));
    if (lost.length > 0)
      this.#violated(`${lost.length} blocks that were accepted are not in the journal of ${generation}`);
  }

  /** An agent begins a unit for a leader. */
  obeyed(agent: string, fence: bigint): void {
    const latest = this.#fences.get(agent) ?? 0n;
    if (fence < latest) this.#violated(`${agent} works for leader ${fence}, after it has for leader ${latest}`);
    else this.#fences.set(agent, fence);
  }

  /** An attempt begins. It counts until its signal is aborted or it has settled, which is what the result ends. */
  started(generation: number, unit: Unit, signal: AbortSignal): () => void {
    const again = this.#blocks(unit.pieces).filter((block) => this.#accepted.has(block));
    const isLatest = generationsOf(this.#disk, "lock")[0] === generation;
    if (isLatest && again.length > 0) {
      this.#violated(`Unit ${unit.id} is done again although ${again.length} blocks of it are accepted`);
    }
    const key = `${generation}/${unit.id}`;
    const running = this.#running.get(key) ?? new Set();
    this.#running.set(key, running.add(signal));
    const count = [...running].filter(({ aborted }) => !aborted).length;
    if (count > maxAttemptsAtOnce) this.#violated(`${count} attempts at unit ${unit.id} run at once`);
    return () => running.delete(signal);
  }

  published(leader: string, generation: number, files: Inode, pieces: Pieces): void {
    this.#publishes += 1;
    this.#say(`${leader} publishes as ${generation}`);
    if (this.#publishes > 1) this.#violated(`${leader} publishes the output once more, as ${generation}`);
    this.#assertGolden(files);
    for (const [tensor, { name, elements }] of this.#job.plan.tensors.entries()) {
      let at = 0;
      for (const { begin, end } of pieces.of(tensor)) {
        if (begin !== at) this.#violated(`The journal has no piece, or two, at element ${at} of ${name}`);
        at = end;
      }
      if (at !== elements) this.#violated(`The journal ends at element ${at} of ${name}, which has ${elements}`);
    }
  }

  /** The power failed. An output whose name was not on the disk yet may be gone, and published again. */
  powerLost(output: Inode | undefined): void {
    if (output === undefined) this.#publishes = 0;
    else this.#assertGolden(output);
  }

  ended(output: Inode | undefined): void {
    if (output === undefined) this.#violated("The job is done and there is no output");
    else this.#assertGolden(output);
  }

  #assertGolden(files: Inode): void {
    const wrong = this.#job.golden.findIndex((value, block) => files.blocks[block] !== value);
    if (wrong >= 0)
      this.#violated(`Block ${wrong} of the output is ${files.blocks[wrong]}, not ${this.#job.golden[wrong]}`);
  }

  #blocks(places: readonly Place[]): number[] {
    return places.flatMap((place) => blocksOf(this.#job, place.tensor, place));
  }

  #violated(what: string): void {
    this.#say(`VIOLATION: ${what}`);
    this.violations.push(what);
  }
}
