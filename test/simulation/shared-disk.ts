import { AmalgamError } from "../../shared/errors.js";

/** A file, or a folder of output files as one: whoever has it open keeps it, whatever becomes of its name. */
export class Inode {
  /** Of a text file: what it holds, and how much of that is on the disk for good. */
  text = "";
  syncedLength = 0;
  /** Of a folder of output: what each block of the output holds, 0 being nothing, and what of that is synced. */
  blocks: number[] = [];
  syncedBlocks: number[] = [];
}

type Change = (names: Map<string, Inode>) => void;

/**
 * A file system that all coordinators and agents share. Everything takes effect at once and for all; what is not synced
 * may be lost when the power fails: of a file's end, any part; of the names, whatever changed last.
 */
export class SharedDisk {
  #names = new Map<string, Inode>();
  #durable = new Map<string, Inode>();
  #changes: Change[] = [];

  get(name: string): Inode | undefined {
    return this.#names.get(name);
  }

  /** Names that begin with `prefix`, in order. */
  list(prefix: string): readonly string[] {
    return [...this.#names.keys()].filter((name) => name.startsWith(prefix)).sort();
  }

  open(name: string): Inode {
    const inode = this.#names.get(name);
    if (inode === undefined) throw new AmalgamError("io_failed", `Cannot open ${name}: ENOENT`);
    return inode;
  }

  /** Undefined when the name is taken (O_EXCL). */
  create(name: string): Inode | undefined {
    if (this.#names.has(name)) return undefined;
    const inode = new Inode();
    this.#change((names) => void names.set(name, inode));
    return inode;
  }

  /** Fails when there is nothing of that name. Never replaces a folder: `onto` must be free or a file. */
  rename(name: string, onto: string): void {
    const inode = this.open(name);
    const there = this.#names.get(onto);
    if (there !== undefined && there.blocks.length > 0) {
      throw new AmalgamError("io_failed", `Cannot rename ${name} to ${onto}: ENOTEMPTY`);
    }
    this.#change((names) => {
      if (!names.delete(name)) return;
      names.set(onto, inode);
    });
  }

  unlink(name: string): void {
    if (this.#names.has(name)) this.#change((names) => void names.delete(name));
  }

  /** Names are on the disk for good. */
  syncNames(): void {
    this.#durable = new Map(this.#names);
    this.#changes = [];
  }

  /** Everything crashes. `random` decides what of the unsynced survived. */
  losePower(random: () => number): void {
    const kept = Math.floor(random() * (this.#changes.length + 1));
    const names = this.#durable;
    for (const change of this.#changes.slice(0, kept)) change(names);
    for (const inode of new Set(names.values())) {
      const unsynced = inode.text.length - inode.syncedLength;
      inode.text = inode.text.slice(0, inode.syncedLength + Math.floor(random() * (unsynced + 1)));
      inode.syncedLength = inode.text.length;
      inode.blocks = inode.blocks.map((value, i) => (random() < 0.5 ? value : (inode.syncedBlocks[i] ?? 0)));
      inode.syncedBlocks = [...inode.blocks];
    }
    this.#names = names;
    this.syncNames();
  }

  #change(change: Change): void {
    change(this.#names);
    this.#changes.push(change);
  }
}
