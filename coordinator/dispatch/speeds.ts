/** Work this many times smaller than the largest says more of calls and files than of speed, and is not learnt from. */
const telling = 16;
/** How much the last attempt counts in an agent's average. */
const newestShare = 0.3;

/**
 * How fast agents are, as milliseconds per byte and slot: the smaller, the faster. Each one's is averaged over its
 * accepted attempts, recent ones counting most.
 */
export class Speeds {
  readonly #costs = new Map<string, number>();
  #largest = 0;
  #records = 0;
  #summary: { readonly median: number; readonly least: number; readonly until: number } | undefined;

  /** The agent has needed `ms` for work of `weight` bytes. */
  record(agent: string, weight: number, ms: number): void {
    if (weight <= 0 || weight * telling < this.#largest) return;
    // All that was learnt before was learnt from trifles.
    if (weight > this.#largest * telling) this.#costs.clear();
    this.#largest = Math.max(this.#largest, weight);
    const known = this.#costs.get(agent);
    const cost = ms / weight;
    this.#costs.set(agent, known === undefined ? cost : known + newestShare * (cost - known));
    this.#records += 1;
  }

  forget(agent: string): void {
    if (this.#costs.delete(agent)) this.#summary = undefined;
  }

  /** Undefined: it has finished nothing yet. */
  costOf(agent: string): number | undefined {
    return this.#costs.get(agent);
  }

  /** Of the agents that have finished something; of an even number, the faster of the two in the middle. */
  get median(): number | undefined {
    return this.#summarize()?.median;
  }

  /** The fastest agent's. */
  get least(): number | undefined {
    return this.#summarize()?.least;
  }

  /** Sorting a thousand agents after every unit would be most of the work, and one unit in many changes little. */
  #summarize() {
    if (this.#summary !== undefined && this.#records < this.#summary.until) return this.#summary;
    const sorted = Float64Array.from(this.#costs.values()).sort();
    const [median, least] = [sorted[(sorted.length - 1) >> 1], sorted[0]];
    const until = this.#records + Math.max(1, sorted.length >> 3);
    this.#summary = median === undefined || least === undefined ? undefined : { median, least, until };
    return this.#summary;
  }
}
