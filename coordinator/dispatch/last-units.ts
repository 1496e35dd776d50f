import type { AgentPool, PooledAgent } from "./agent-pool.js";
import type { RunningAttempt, UnitRecord } from "./attempts.js";
import type { Speeds } from "./speeds.js";

/** A running attempt on a fast agent, as seen by a slow one. */
export interface FreeSoon extends RunningAttempt {
  /** The agent's, in milliseconds per byte. */
  readonly cost: number;
  readonly usualMs: number;
  /** When it is expected to end, from now. */
  readonly inMs: number;
}

/** How many of the units that have run for longest are looked at for one that ends soon. */
const longestRunning = 256;

/** Less of a difference between two agents is noise, or would not pay for the wait. */
const muchFaster = 2;

/**
 * Free agents in the order in which they get the last units of a job: the emptiest first, but those that are much slower
 * than another free one after all others. The last unit decides when all is over.
 */
export function* fastestFirst(pool: AgentPool, speeds: Speeds): Generator<PooledAgent, undefined, void> {
  if (speeds.least === undefined) return yield* pool.free();
  const costOf = ({ address }: PooledAgent): number => speeds.costOf(address) ?? speeds.median ?? Infinity;
  let least = Infinity;
  for (const agent of pool.free()) least = Math.min(least, costOf(agent));
  const slow: PooledAgent[] = [];
  for (const agent of pool.free()) {
    if (costOf(agent) > muchFaster * least) slow.push(agent);
    else yield agent;
  }
  return yield* slow.sort((a, b) => costOf(a) - costOf(b));
}

/** Attempts on agents that are much faster than this one, those that end first first. */
export function fasterSoon(
  agent: PooledAgent,
  running: Iterable<UnitRecord>,
  { pool, speeds, now }: { readonly pool: AgentPool; readonly speeds: Speeds; readonly now: number },
): readonly FreeSoon[] {
  const own = speeds.costOf(agent.address);
  if (own === undefined || own <= muchFaster * (speeds.least ?? Infinity)) return [];
  const soon: FreeSoon[] = [];
  let looked = 0;
  for (const { running: attempts, weight } of running) {
    looked += 1;
    if (looked > longestRunning) break;
    for (const { agent: address, startedAt } of attempts.values()) {
      const cost = speeds.costOf(address);
      if (cost === undefined || own <= muchFaster * cost || pool.get(address)?.isReady !== true) continue;
      const usualMs = cost * weight;
      // One that is late by some time is given as much again.
      soon.push({ agent: address, startedAt, cost, usualMs, inMs: Math.abs(startedAt + usualMs - now) });
    }
  }
  return soon.sort((a, b) => a.inMs - b.inMs);
}

/**
 * Whether a unit that would take `hereMs` is done much sooner by the other agent, once that is free. If so, until when
 * that is worth waiting for; the clock's milliseconds.
 */
export function worthWaitingUntil(weight: number, hereMs: number, other: FreeSoon): number | undefined {
  const thereMs = other.cost * weight;
  if (hereMs <= muchFaster * (other.inMs + thereMs)) return undefined;
  return other.startedAt + other.usualMs + hereMs / muchFaster - thereMs;
}
