import type { Journal } from "../../coordinator/assemble/journal.js";
import type { Authority } from "../../coordinator/assemble/lock-file.js";
import type { PieceResult, Pieces } from "../../coordinator/assemble/pieces.js";
import type { Attempt } from "../../coordinator/assemble/staging.js";
import { AmalgamError } from "../../shared/errors.js";
import type { Inode } from "./shared-disk.js";
import { generationsOf, nameOf, SimLock } from "./sim-lock.js";
import { changedPieces, outputName, type StagingContext, type Taken, takeOver } from "./sim-take-over.js";

const callMs = 0.3;
const syncMs = 2;

/**
 * The staging directory of a job. Its journal, what is read from it and which pieces are in place are the real code; lock
 * and files are steps on a simulated disk, in the order of `open-staging.ts`, `take-over.ts` and `commit.ts`.
 */
export class SimStaging {
  readonly generation: number;
  readonly pieces: Pieces;
  readonly #context: StagingContext;
  readonly #lock: SimLock;
  readonly #journal: Journal;
  readonly #files: Inode;
  #isCommitted = false;

  private constructor(context: StagingContext, lock: SimLock, { journal, pieces, files }: Taken) {
    this.#context = context;
    this.#lock = lock;
    this.#journal = journal;
    this.pieces = pieces;
    this.#files = files;
    this.generation = lock.generation;
  }

  static async open(context: StagingContext, authority: Authority): Promise<SimStaging | "complete"> {
    const { disk, process } = context;
    const isComplete = (): Promise<boolean> => process.effect(callMs, () => disk.get(outputName) !== undefined);
    if (await isComplete()) return "complete";
    const lock = await SimLock.take(context, authority);
    try {
      await lock.barPredecessors();
      const taken = (await isComplete()) ? "complete" : await takeOver(context, lock, isComplete);
      if (taken !== "complete") return new SimStaging(context, lock, taken);
      await removeStaged(context, lock);
      await lock.release();
      return taken;
    } catch (error) {
      const reason = await lock.reasonOf(error);
      await lock.release();
      throw reason;
    }
  }

  get path(): string {
    return nameOf("output", this.generation);
  }

  async accept(results: readonly PieceResult[], { unit, epoch, agent }: Attempt): Promise<void> {
    const added = results.filter((result) => this.pieces.add(result));
    const written = this.#journal.append(added.map((result) => ({ type: "piece", ...result, unit, epoch, agent })));
    if (this.#context.bugs.acceptsBeforeSync) written.catch(() => undefined);
    else await written;
    this.#context.auditor.accepted(this.generation, added);
  }

  /** Everything is read once more, synced, and shown by one rename. */
  async commit(): Promise<void> {
    const { job, disk, process, auditor, bugs, onPublish } = this.#context;
    if (!this.pieces.isWhole) throw new AmalgamError("internal", "Pieces are missing");
    try {
      const changed = await process.effect(callMs, () =>
        bugs.trustsStagedBytes ? [] : changedPieces(job, this.pieces, this.#files),
      );
      if (changed.length > 0) {
        auditor.dropped(changed);
        for (const piece of changed) this.pieces.drop(piece);
        await this.#journal.append(changed.map(({ tensor, begin, end }) => ({ type: "dropped", tensor, begin, end })));
        throw new AmalgamError("chunk_corrupt", `${changed.length} pieces changed after they were accepted`);
      }
      await process.effect(syncMs, () => {
        disk.open(this.path);
        this.#files.syncedBlocks = [...this.#files.blocks];
      });
      await this.#lock.assertHeld();
      if ((await process.effect(callMs, () => disk.get(outputName))) !== undefined) {
        throw new AmalgamError("output_refused", "Another process completed it");
      }
      onPublish();
      await process.effect(callMs, () => {
        const path = bugs.publishesWithoutFence ? nameOf("output", generationsOf(disk, "output")[0] ?? 0) : this.path;
        disk.rename(path, outputName);
        auditor.published(process.name, this.generation, this.#files, this.pieces);
      });
    } catch (error) {
      throw await this.#lock.reasonOf(error);
    }
    await process.effect(syncMs, () => disk.syncNames());
    this.#isCommitted = true;
  }

  /**
   * Gives the directory up: to the next leader, or for good when all is done. Also an empty one stays, for generations
   * must not begin anew with another machine's date, which may be behind.
   */
  async close(): Promise<void> {
    await this.#journal[Symbol.asyncDispose]();
    if (this.#isCommitted) await removeStaged(this.#context, this.#lock);
    await this.#lock.release();
  }
}

async function removeStaged({ disk, process }: StagingContext, lock: SimLock): Promise<void> {
  if (!(await lock.isHeld())) return;
  await process.effect(callMs, () => {
    for (const kind of ["journal", "journal-new", "output"] as const) {
      for (const generation of generationsOf(disk, kind)) {
        if (generation <= lock.generation) disk.unlink(nameOf(kind, generation));
      }
    }
  });
}
