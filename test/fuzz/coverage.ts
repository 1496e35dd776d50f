import { type Profiler, Session } from "node:inspector/promises";
import { fileURLToPath } from "node:url";
import { repositoryPath } from "../support/repository.js";

/** Which parts of some sources have run, block by block, as V8 counts them. */
export class Coverage implements AsyncDisposable {
  readonly #session = new Session();
  readonly #covers: RegExp;
  /** By script: 0 for a character that nobody asked for, 1 for one that has never run, 2 for one that has. */
  readonly #scripts = new Map<string, Uint8Array>();
  readonly #root = repositoryPath("dist/");

  /** `covers`: paths of compiled sources below dist/. */
  constructor(covers: RegExp) {
    this.#covers = covers;
  }

  async start(): Promise<void> {
    this.#session.connect();
    await this.#session.post("Profiler.enable");
    await this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** How many characters of the sources have run for the first time since it was asked last. */
  async fresh(): Promise<number> {
    const { result } = await this.#session.post("Profiler.takePreciseCoverage");
    let fresh = 0;
    for (const { url, functions } of result) {
      if (url.startsWith("file://") && this.#isCovered(url)) fresh += this.#add(url, functions);
    }
    return fresh;
  }

  /** What has run so far. */
  snapshot(): ReadonlyMap<string, Uint8Array> {
    return new Map([...this.#scripts].map(([url, states]) => [url, states.slice()]));
  }

  /** Forgets what has run since. */
  restore(snapshot: ReadonlyMap<string, Uint8Array>): void {
    this.#scripts.clear();
    for (const [url, states] of snapshot) this.#scripts.set(url, states.slice());
  }

  /** The share of the functions' text that has run. */
  get share(): number {
    let [ran, known] = [0, 0];
    for (const characters of this.#scripts.values()) {
      for (const state of characters) {
        if (state > 0) known += 1;
        if (state > 1) ran += 1;
      }
    }
    return known === 0 ? 0 : ran / known;
  }

  #isCovered(url: string): boolean {
    const path = fileURLToPath(url);
    return path.startsWith(this.#root) && this.#covers.test(path.slice(this.#root.length));
  }

  /** Functions come with the one that they stand in before them, and ranges likewise: the last word is the innermost's. */
  #add(url: string, functions: readonly Profiler.FunctionCoverage[]): number {
    const length = Math.max(...functions.flatMap(({ ranges }) => ranges.map(({ endOffset }) => endOffset)));
    const states = this.#scripts.get(url) ?? new Uint8Array(length);
    this.#scripts.set(url, states);
    const now = new Uint8Array(states.length);
    for (const { functionName, ranges } of functions) {
      // The module itself has run when it was loaded.
      const isModule = functionName === "" && ranges[0]?.startOffset === 0;
      for (const { startOffset, endOffset, count } of ranges)
        now.fill(isModule ? 0 : count > 0 ? 2 : 1, startOffset, endOffset);
    }
    let fresh = 0;
    now.forEach((state, at) => {
      if (state <= (states[at] ?? 0)) return;
      if (state === 2) fresh += 1;
      states[at] = state;
    });
    return fresh;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
  }
}
