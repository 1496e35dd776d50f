/**
 * `connecting`: it does not answer, or has not yet, and is asked again. `ready`: it takes units. `draining`: it finishes
 * what it has. `lost`: given up for this job.
 */
export type AgentState = "connecting" | "ready" | "draining" | "lost";

/** `waiting` includes the pause before another attempt; `running` may be more than one attempt. */
export type UnitState = "waiting" | "running" | "done" | "failed";

const agentMoves = {
  connecting: ["ready", "lost"],
  ready: ["connecting", "draining", "lost"],
  draining: ["lost"],
  lost: [],
} as const satisfies Record<AgentState, readonly AgentState[]>;

const unitMoves = {
  waiting: ["running", "failed"],
  running: ["waiting", "done", "failed"],
  done: [],
  failed: [],
} as const satisfies Record<UnitState, readonly UnitState[]>;

export function canAgentMove(from: AgentState, to: AgentState): boolean {
  return (agentMoves[from] as readonly AgentState[]).includes(to);
}

/** `to`, which must be a legal next state: anything else is a bug. */
export function moveUnit(from: UnitState, to: UnitState): UnitState {
  if (!(unitMoves[from] as readonly UnitState[]).includes(to)) {
    throw new RangeError(`A unit cannot go from "${from}" to "${to}"`);
  }
  return to;
}
