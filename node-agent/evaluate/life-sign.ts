import { readFileSync } from "node:fs";

/**
 * Tells whether a process has done anything since it was last asked: used a processor, or brought in pages of a file. One
 * that runs a model answers no questions. Where the system does not say, a process that lives is taken to work.
 */
export class LifeSign {
  readonly #path: string;
  #last: string | undefined;

  constructor(pid: number) {
    this.#path = `/proc/${pid}/stat`;
    this.#last = this.#read();
  }

  hasWorked(): boolean {
    const now = this.#read();
    const hasWorked = now === undefined || now !== this.#last;
    this.#last = now;
    return hasWorked;
  }

  /** Page-ins, and time in user and system mode; see proc(5), fields 12, 14 and 15. The name in field 2 may have spaces. */
  #read(): string | undefined {
    try {
      const text = readFileSync(this.#path, "latin1");
      const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
      return [fields[9], fields[11], fields[12]].join(" ");
    } catch {
      return undefined;
    }
  }
}
