import type { Change } from "../../shared/bus/bus.js";
import { keys, type NodeRecord, nodeRecord, parseRecord } from "../../shared/cluster/records.js";
import { type LiveNode, Liveness } from "../cluster/liveness.js";
import { type Board, limits } from "./board.js";
import { nodeView } from "./views.js";

/** Nodes of which anything is kept, those that are not shown included. */
const maxKnown = 10 * limits.nodes;

/** The nodes of a cluster, as their records tell, kept on a board. Those that are alive are shown before those that are not. */
export class KnownNodes {
  readonly #board: Board;
  readonly #liveness: Liveness;
  /** By key, the folders that they may read left out. */
  readonly #records = new Map<string, NodeRecord>();
  #alive: readonly LiveNode[] = [];
  readonly #names = new Set<string>();
  /** Somebody came, went, or changed more than its beat since the last look. */
  #isChanged = true;

  /** `lookMs`: how often {@link look} is called. */
  constructor(board: Board, nowMs: number, lookMs: number) {
    this.#board = board;
    this.#liveness = new Liveness(nowMs, 2 * lookMs);
  }

  /** As of the last look. */
  get alive(): readonly LiveNode[] {
    return this.#alive;
  }

  get leftOut(): number {
    return Math.max(0, this.#records.size - limits.nodes);
  }

  called(name: string): NodeRecord | undefined {
    return this.#records.get(keys.node(name));
  }

  isAlive(name: string): boolean {
    return this.#names.has(name);
  }

  hear({ key, value }: Change): void {
    const record = parseRecord(nodeRecord, value);
    // Nobody speaks for another one.
    if (record === undefined || keys.node(record.name) !== key) {
      this.#forget(key);
      return;
    }
    if (!this.#records.has(key) && !this.#makeRoom()) return;
    const short = { ...record, roots: [] };
    this.#records.set(key, short);
    if (this.#liveness.hear(short)) {
      this.#names.add(record.name);
      this.#isChanged = true;
    }
    this.#show(short);
  }

  /** Lets time pass. Whether it is another set of nodes that is alive, or they say something else of themselves. */
  look(nowMs: number, isHearing: boolean): boolean {
    const gone = this.#liveness.look(nowMs, isHearing);
    for (const { record } of gone) this.#names.delete(record.name);
    // What is left of a node that was gone before we came is found out about without a word.
    const unsure = this.#board.keys("nodes").filter((name) => this.#board.get("nodes", name)?.state === "unknown");
    for (const name of [...unsure, ...gone.map(({ record }) => record.name)]) {
      const record = this.called(name);
      if (record !== undefined) this.#show(record);
    }
    const isChanged = this.#isChanged || gone.length > 0;
    this.#isChanged = false;
    if (isChanged) {
      this.#alive = this.#liveness.alive;
      if (this.leftOut > 0) this.#choose();
    }
    return isChanged;
  }

  #forget(key: string): void {
    const before = this.#records.get(key);
    if (before === undefined) return;
    this.#records.delete(key);
    this.#board.delete("nodes", before.name);
    this.#names.delete(before.name);
    this.#liveness.forget(before.name);
    this.#isChanged = true;
  }

  /** Whoever is silent makes room for those that come. */
  #makeRoom(): boolean {
    if (this.#records.size < maxKnown) return true;
    for (const [key, { name }] of this.#records) {
      if (this.#liveness.knows(name)) continue;
      this.#forget(key);
      return true;
    }
    return false;
  }

  #show(record: NodeRecord): void {
    const isShown = this.#board.get("nodes", record.name) !== undefined;
    if (isShown || this.#board.count("nodes") < limits.nodes) {
      this.#board.set("nodes", record.name, nodeView(record, this.#lifeOf(record)));
    }
  }

  /** Whoever is alive is shown first, and of the others whoever is shown already. */
  #choose(): void {
    const rank = ({ name }: NodeRecord): number =>
      (this.#names.has(name) ? 0 : 2) + (this.#board.get("nodes", name) === undefined ? 1 : 0);
    const order = [...this.#records.values()].sort((a, b) => rank(a) - rank(b));
    for (const { name } of order.slice(limits.nodes)) this.#board.delete("nodes", name);
    for (const record of order.slice(0, limits.nodes)) this.#show(record);
  }

  #lifeOf({ name }: NodeRecord): "live" | "silent" | "unknown" {
    if (this.#names.has(name)) return "live";
    return this.#liveness.knows(name) ? "unknown" : "silent";
  }
}
