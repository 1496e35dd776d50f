import { cp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "./cluster.js";
import { type Fault, faultsOf, nameOf, type Targets } from "./faults.js";
import type { NodeProcess } from "./node-process.js";

export interface ChaosOptions {
  readonly seed: number;
  /** Between two faults, on average. */
  readonly everyMs: number;
  /** Of the agents, those that are hit. @default all */
  readonly agents?: readonly string[];
}

/** How long a process that was asked to end may take. */
const endMs = 15_000;
/** Pause after a fault that was passed over. */
const passedOverMs = 5;
/** How long an agent is left alone between two faults. */
const agentRestMs = 1_000;
/** And a coordinator, or NATS: long enough to take a job over. */
const restMs = 5_000;
/** Pause before a process is started again that could not reach NATS. */
const againMs = 300;

/**
 * Does to a cluster what a seed says, as somebody would who restarts whatever ends. The seed decides what is done, to
 * whom and for how long; what happens meanwhile is the machine's to decide, and so which faults are passed over because
 * the one they are meant for is hit already.
 */
export class Chaos {
  readonly #cluster: Cluster;
  readonly #faults: Generator<Fault, never>;
  readonly #startedMs = performance.now();
  readonly #lines: string[] = [];
  readonly #surprises: string[] = [];
  /** Processes and links that are hit right now. */
  readonly #held = new Set<string>();
  /** The life of each process: whether it may end. */
  readonly #lives = new Map<NodeProcess, { mayEnd: boolean }>();
  readonly #backup: string;
  #hasBackup = false;
  #injected = 0;

  constructor(cluster: Cluster, { seed, everyMs, agents }: ChaosOptions) {
    this.#cluster = cluster;
    this.#backup = join(cluster.folder, "nats-backup");
    const targets: Targets = {
      nats: cluster.nats.name,
      coordinators: cluster.coordinators.map(({ name }) => name),
      agents: agents ?? cluster.agents.map(({ name }) => name),
      canCut: cluster.network.kind === "namespaces",
    };
    this.#faults = faultsOf(seed, targets, everyMs);
    for (const node of cluster.nodes) if (node.isRunning) this.#live(node);
  }

  /** Faults that took effect. */
  get injected(): number {
    return this.#injected;
  }

  /** What no fault explains: processes that ended by themselves, or not as they should. */
  get surprises(): readonly string[] {
    return this.#surprises;
  }

  /** What was done, and when. */
  get log(): string {
    return this.#lines.join("\n");
  }

  note(line: string): void {
    this.#lines.push(`${((performance.now() - this.#startedMs) / 1000).toFixed(2).padStart(7)} s  ${line}`);
  }

  /** Returns when so many faults more were done and undone. */
  async run(count: number): Promise<void> {
    const until = this.#injected + count;
    const open = new Set<Promise<void>>();
    for (const fault of this.#faults) {
      if (this.#injected >= until) break;
      if (placesOf(fault).some((place) => this.#held.has(place))) {
        // Everybody may be hit right now.
        await sleep(passedOverMs);
        continue;
      }
      await sleep(fault.afterMs);
      const acting = this.#act(fault).finally(() => open.delete(acting));
      open.add(acting);
    }
    await Promise.all(open);
  }

  async #act(fault: Fault): Promise<void> {
    const places = placesOf(fault);
    for (const place of places) this.#held.add(place);
    this.note(`${nameOf(fault)}, ${fault.lastsMs} ms`);
    try {
      if (fault.on === "link") await this.#cut(fault.ends, fault.lastsMs);
      else await this.#hit(this.#node(fault.node), fault);
      this.note(`${nameOf(fault)}, undone`);
    } catch (error) {
      this.#surprise(`${nameOf(fault)}: ${String(error)}`);
    } finally {
      setTimeout(() => {
        for (const place of places) this.#held.delete(place);
      }, this.#restMs(fault)).unref();
    }
  }

  /** Without a rest for those whom every job needs, none would get anywhere. */
  #restMs(fault: Fault): number {
    if (fault.on === "link") return 0;
    return this.#cluster.agents.some(({ name }) => name === fault.node) ? agentRestMs : restMs;
  }

  async #cut([one, other]: readonly [string, string], lastsMs: number): Promise<void> {
    this.#injected += 1;
    this.#cluster.network.cut(one, other);
    await sleep(lastsMs);
    this.#cluster.network.mend(one, other);
  }

  async #hit(node: NodeProcess, { act, lastsMs }: Exclude<Fault, { on: "link" }>): Promise<void> {
    if (act === "drain" && !(await this.#order(node))) return;
    this.#injected += 1;
    switch (act) {
      case "freeze":
        node.freeze();
        await sleep(lastsMs);
        node.thaw();
        return;
      case "freeze, then kill":
        node.freeze();
        await sleep(lastsMs);
        await this.#end(node, "SIGKILL");
        break;
      case "kill":
      case "restore":
      case "wipe":
        await this.#end(node, "SIGKILL");
        await sleep(lastsMs);
        break;
      case "end":
        await this.#end(node, "SIGTERM");
        await sleep(lastsMs);
        break;
      case "drain":
        await this.#end(node);
        await sleep(lastsMs);
        break;
    }
    if (act === "restore" || act === "wipe") await this.#cluster.changeEngineData((data) => this.#change(data, act));
    await this.#start(node);
  }

  /** A restore brings back what there was at the one before, and the first one what there is. */
  async #change(data: string, act: "restore" | "wipe"): Promise<void> {
    if (act === "wipe") return rm(data, { recursive: true, force: true });
    const current = `${this.#backup}-new`;
    await cp(data, current, { recursive: true });
    if (this.#hasBackup) {
      await rm(data, { recursive: true });
      await rename(this.#backup, data);
    }
    await rename(current, this.#backup);
    this.#hasBackup = true;
  }

  /** Whether the order to drain got through. */
  async #order(node: NodeProcess): Promise<boolean> {
    const life = this.#lives.get(node);
    if (life !== undefined) life.mayEnd = true;
    const { code, stderr } = await this.#cluster.run("drain", node.name, "--detach");
    if (code === 0) return true;
    this.note(`${node.name}: not drained: ${stderr.trim()}`);
    if (life !== undefined && node.isRunning) life.mayEnd = false;
    return false;
  }

  /** Waits for the end of a process that a signal, or an order before, asked for; takes care of it in the end. */
  async #end(node: NodeProcess, signal?: "SIGKILL" | "SIGTERM"): Promise<void> {
    const life = this.#lives.get(node);
    if (life !== undefined) life.mayEnd = true;
    const ending = signal === undefined ? node.ended : node.kill(signal).then(() => node.ended);
    const timeout = new AbortController();
    const late = sleep(endMs, "late" as const, { signal: timeout.signal }).catch(() => "late" as const);
    const how = await Promise.race([ending, late]);
    timeout.abort();
    if (how === "late") {
      this.note(`${node.name} is killed, for it has not ended ${endMs / 1000} s after it was asked to`);
      await node.kill();
    } else if (signal !== "SIGKILL" && how !== 0) {
      this.#surprise(`${node.name} was asked to end and did with ${how}: ${lastOf(node)}`);
    }
  }

  /** Until it is up: one that cannot reach NATS gives up, and is started again. */
  async #start(node: NodeProcess): Promise<void> {
    for (;;) {
      const before = node.output.length;
      try {
        await node.start();
        this.#live(node);
        return;
      } catch (error) {
        if (!/ (in|to) NATS at /.test(node.output.slice(before))) throw error;
        this.note(`${node.name} does not start: ${lastOf(node)}`);
        await sleep(againMs);
      }
    }
  }

  #live(node: NodeProcess): void {
    const life = { mayEnd: false };
    this.#lives.set(node, life);
    void node.ended.then((how) => {
      if (!life.mayEnd) this.#surprise(`${node.name} ended by itself, with ${how}: ${lastOf(node)}`);
    });
  }

  #surprise(text: string): void {
    this.note(text);
    this.#surprises.push(text);
  }

  #node(name: string): NodeProcess {
    const node = this.#cluster.nodes.find((one) => one.name === name);
    if (node === undefined) throw new RangeError(`No node "${name}"`);
    return node;
  }

  /** The cluster may end from here on. */
  expectEnd(): void {
    for (const life of this.#lives.values()) life.mayEnd = true;
  }
}

function placesOf(fault: Fault): readonly string[] {
  return fault.on === "link" ? [fault.ends.toSorted().join(" ")] : [fault.node];
}

function lastOf(node: NodeProcess): string {
  return node.output.slice(-1_000).trim();
}
