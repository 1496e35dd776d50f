import { dispatch } from "../../../coordinator/dispatch/dispatcher.js";
import type { Plan, Unit } from "../../../coordinator/plan/types.js";
import { chooseUnitBytes, cutUnits } from "../../../coordinator/plan/units.js";
import { type Clock, sleep } from "../../../shared/clock.js";
import { seeded } from "../../support/random.js";
import { VirtualClock } from "../virtual-clock.js";
import { type Bandwidths, SharedBandwidth } from "./bandwidth.js";
import { type ScaleNode, ScaleNodes } from "./nodes.js";

/** A cluster and what goes wrong in it. */
export interface ScaleOptions {
  readonly nodes: number;
  readonly slots: number;
  readonly bandwidths: Bandwidths;
  /** The share of the nodes that dies within a minute. @default 0 */
  readonly deathsPerMinute?: number;
  /** @default 1 */
  readonly seed?: number;
  /** Output bytes per unit. Default: see chooseUnitBytes(). */
  readonly unitBytes?: number;
}

export interface ScaleResult {
  readonly seconds: number;
  /** No cluster with these bandwidths is faster. */
  readonly boundSeconds: number;
  readonly efficiency: number;
  readonly units: number;
  /** Attempts beyond the first of each unit. */
  readonly retries: number;
  readonly deaths: number;
  /** Real time per unit of the dispatcher, and of the simulation around it. */
  readonly dispatcherMs: number;
}

/** One thread sends requests and takes receipts: 1.1 ms of it per unit, as measured; see docs/benchmarks.md. */
const coordinatorMs = 1.1;
/** Bandwidth is shared out anew at most so often in the time that the job needs at least. */
const grains = 20_000;
/** A node that dies says nothing about what it ran. */
const losses = 10;
const limitMs = 86_400_000;

/** The real scheduler on a plan's real units, over nodes and a network that are a few formulas. */
export async function mergeAtScale(plan: Plan, options: ScaleOptions): Promise<ScaleResult> {
  const { nodes, slots, bandwidths, deathsPerMinute = 0, seed = 1 } = options;
  const units = cutUnits(plan, { unitBytes: options.unitBytes ?? chooseUnitBytes(plan, nodes * slots) });
  const read = units.reduce((sum, unit) => sum + unit.bytesRead, 0);
  const written = units.reduce((sum, unit) => sum + unit.bytesWritten, 0);
  const boundSeconds = lowerBound(read, written, nodes, bandwidths);

  const clock = new VirtualClock();
  const bandwidth = new SharedBandwidth(clock, bandwidths, read / written, (boundSeconds * 1000) / grains);
  const cluster = new ScaleNodes(clock, bandwidth);
  for (let i = 0; i < nodes; i += 1) cluster.add(`node-${i}`, slots);
  cluster.dieNowAndThen(deathsPerMinute, seeded(seed));

  const coordinator = new Thread(clock);
  let attempts = 0;
  const run = async ({ unit, agent, signal }: { unit: Unit; agent: ScaleNode; signal: AbortSignal }): Promise<Unit> => {
    attempts += 1;
    await coordinator.spend(coordinatorMs / 2);
    await cluster.work(agent, unit.bytesWritten, signal);
    await coordinator.spend(coordinatorMs / 2);
    return unit;
  };
  const began = performance.now();
  await inVirtualTime(clock, async () => {
    const results = dispatch(units, { agents: cluster, run, clock, waitForAgentsMs: Infinity, retry: { losses } });
    for await (const _ of results);
  });
  const seconds = clock.now() / 1000;
  return {
    seconds,
    boundSeconds,
    efficiency: boundSeconds / seconds,
    units: units.length,
    retries: attempts - units.length,
    deaths: cluster.deaths,
    dispatcherMs: (performance.now() - began) / units.length,
  };
}

/** Everything is read and written once, through the storage and through the nodes' cards; both directions at once. */
function lowerBound(read: number, written: number, nodes: number, { node, ...storage }: Bandwidths): number {
  return Math.max(read / Math.min(storage.read, nodes * node), written / Math.min(storage.write, nodes * node));
}

/** Does one thing after the other. */
class Thread {
  readonly #clock: Clock;
  #freeAt = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  spend(ms: number): Promise<void> {
    this.#freeAt = Math.max(this.#freeAt, this.#clock.now()) + ms;
    return sleep(this.#clock, this.#freeAt - this.#clock.now());
  }
}

async function inVirtualTime(clock: VirtualClock, act: () => Promise<void>): Promise<void> {
  let isOver = false;
  const acting = act().finally(() => {
    isOver = true;
  });
  // Until it is awaited below.
  acting.catch(() => undefined);
  if (!(await clock.advanceUntil(() => isOver, limitMs))) throw new Error(`It is not over after ${limitMs} ms`);
  await acting;
}
