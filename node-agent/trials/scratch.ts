import { lstatSync, realpathSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeOrphans } from "../../shared/child/orphans.js";
import { OwnFolder } from "../../shared/child/own-folder.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { freeMemory } from "../evaluate/process/free-memory.js";

/** Where trials hold their files, and how much of it they may take. */
export interface TrialPlace {
  readonly folder: string;
  readonly bytes: number;
}

/** Where Linux has files that are memory. */
const sharedMemory = "/dev/shm";
/** Of a tmpfs; see statfs(2). */
const tmpfsMagic = 0x0102_1994;

/** Of what is free when the agent begins; the rest is for models that run, and for merges. */
const memoryShare = 0.5;
const folderShare = 0.8;
/** Less than this is not worth a default. */
const leastBytes = 16 << 20;

/**
 * Where an agent runs its trials: in a folder that it was told, or in {@link sharedMemory} if that is memory. Undefined:
 * it runs none, having been told so, or for want of such a folder or of room in it.
 */
export async function placeForTrials(told: {
  readonly trialFolder?: string | undefined;
  readonly trialMemoryBytes?: number | undefined;
  /** What is taken by default is divided by. @default 1 */
  readonly agentsHere?: number | undefined;
}): Promise<TrialPlace | undefined> {
  if (told.trialMemoryBytes === 0) return undefined;
  // Before anything is measured: what killed agents have left there is room.
  await removeOrphans(told.trialFolder ?? sharedMemory, scratchPrefix);
  const free = told.trialFolder === undefined ? freeSharedMemory() : freeIn(told.trialFolder);
  const folder = told.trialFolder ?? sharedMemory;
  if (free === undefined) {
    if (told.trialMemoryBytes === undefined) return undefined;
    throw new AmalgamError(
      "usage",
      `Cannot run trials in ${quote(folder)}: it is no file system in memory (tmpfs); name one, or at worst a folder such as ${quote(tmpdir())}, with "--trial-folder DIR"`,
    );
  }
  const share = Math.min(memoryShare * freeMemory(), folderShare * free) / (told.agentsHere ?? 1);
  const bytes = told.trialMemoryBytes ?? Math.floor(share);
  if (told.trialMemoryBytes === undefined && bytes < leastBytes) return undefined;
  return { folder: realpathSync(folder), bytes };
}

function freeSharedMemory(): number | undefined {
  try {
    const { type, bavail, bsize } = statfsSync(sharedMemory);
    return type === tmpfsMagic ? bavail * bsize : undefined;
  } catch {
    return undefined;
  }
}

function freeIn(folder: string): number {
  try {
    if (!lstatSync(realpathSync(folder)).isDirectory()) throw new Error("it is not a folder");
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch (error) {
    const { message } = AmalgamError.from(error);
    throw new AmalgamError("usage", `Cannot run trials in ${quote(folder)}: ${message}`, { cause: error });
  }
}

/** Of the folders of agents; files in memory outlive whoever made them. */
const scratchPrefix = "amalgam-trials-";

/** Of all agents of this process that are open; a process that ends takes them along. */
const open = new Set<OwnFolder>();

function removeAll(): void {
  for (const folder of open) folder[Symbol.dispose]();
}

/** An agent's own folder in memory. It is there from the first time it is asked for until it is closed. */
export class Scratch implements Disposable {
  readonly #parent: string;
  #folder: OwnFolder | undefined;
  #last = 0;

  /** `parent` is resolved. */
  constructor(parent: string) {
    this.#parent = parent;
  }

  /** Resolved. */
  get path(): string {
    if (this.#folder === undefined) {
      this.#folder = new OwnFolder(this.#parent, scratchPrefix);
      if (open.size === 0) process.once("exit", removeAll);
      open.add(this.#folder);
    }
    return this.#folder.path;
  }

  /** A path in it that nothing had before. */
  newPath(what: string): string {
    this.#last += 1;
    return join(this.path, `${what}-${this.#last}`);
  }

  [Symbol.dispose](): void {
    if (this.#folder === undefined) return;
    this.#folder[Symbol.dispose]();
    open.delete(this.#folder);
    if (open.size === 0) process.removeListener("exit", removeAll);
    this.#folder = undefined;
  }
}

const pageBytes = 4_096;

/** What a file of so many bytes takes in memory. */
export function pagesOf(bytes: number): number {
  return Math.ceil(bytes / pageBytes) * pageBytes;
}
