import type { Cell } from "../../shared/cluster/cells.js";
import type { RateNow } from "./rates.js";

export interface Attempt {
  readonly agent: AgentRate;
  readonly startedMs: number;
  bytes: number;
}

export interface AgentRate {
  readonly name: string;
  readonly place: number;
  readonly rate: RateNow;
  running: number;
}

/** What is known of a unit that was tried. */
export interface Tried {
  readonly unit: number;
  agent: AgentRate;
  attempts: number;
  hasFailed: boolean;
  isDone: boolean;
  milliseconds: number | undefined;
  bytes: number | undefined;
  /** By epoch. */
  readonly running: Map<number, Attempt>;
}

/** Of units that nobody has been given. */
export const untouched: Cell = {
  ...{ state: "waiting", hasFailed: false, attempts: 0 },
  ...{ agent: undefined, milliseconds: undefined, bytes: undefined },
};

/** What the units `[begin, end)` are together. */
export function cellOf(units: readonly (Tried | undefined)[], begin: number, end: number): Cell {
  let [running, done, attempts, milliseconds, bytes] = [0, 0, 0, 0, 0];
  let [isTwice, hasFailed] = [false, false];
  let agent: AgentRate | undefined;
  for (let unit = begin; unit < end; unit += 1) {
    const tried = units[unit];
    if (tried === undefined) continue;
    agent = tried.agent;
    attempts = Math.max(attempts, tried.attempts);
    hasFailed ||= tried.hasFailed;
    if (tried.isDone) {
      done += 1;
      milliseconds += tried.milliseconds ?? 0;
      bytes += tried.bytes ?? 0;
    } else if (tried.running.size > 0) running += 1;
    isTwice ||= !tried.isDone && tried.running.size > 1;
  }
  return {
    state: stateOf({ isTwice, running, done, units: end - begin }),
    ...{ hasFailed, attempts, agent: agent?.place },
    milliseconds: done === 0 ? undefined : milliseconds / done,
    bytes: done === 0 ? undefined : bytes,
  };
}

function stateOf(of: { isTwice: boolean; running: number; done: number; units: number }): Cell["state"] {
  if (of.isTwice) return "twice";
  if (of.running > 0) return "running";
  if (of.done === of.units) return "done";
  return of.done > 0 ? "partly" : "waiting";
}
