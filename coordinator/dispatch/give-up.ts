import { AmalgamError } from "../../shared/errors.js";
import { quoteList } from "../../shared/quote.js";
import { formatQuantity } from "../plan/report.js";
import type { DispatchAgent } from "./dispatchable.js";
import type { Failure } from "./retry.js";

/** Agents that a message names with their reasons. */
const maxReasons = 5;

/** A unit that was tried too often. `what`: see {@link nameOf}. */
export function failedTooOften(
  what: string,
  unit: number,
  failures: readonly Failure[],
  error: AmalgamError,
  labelOf: (agent: string) => string,
): AmalgamError {
  // An agent that failed in one way each time says so once.
  const reasons = new Set(failures.map((failure) => `on ${labelOf(failure.agent)}: ${failure.error.message}`));
  return new AmalgamError(error.code, `${what} failed ${failures.length} times; ${[...reasons].join("; ")}`, {
    cause: error,
    details: { ...error.details, unit: String(unit), attempts: String(failures.length) },
  });
}

/** `Unit 4 ("layer.4")` */
export function nameOf(unit: number, tensors: readonly string[]): string {
  return tensors.length === 0 ? `Unit ${unit}` : `Unit ${unit} (${quoteList([...new Set(tensors)], 3)})`;
}

export function noAgentLeft(agents: readonly DispatchAgent[], remaining: number): AmalgamError {
  const lost = agents.length === 1 ? "The agent is lost" : `All ${agents.length} agents are lost`;
  const reasons = agents.map((agent) => `${agent.label}: ${agent.lostBecause?.message ?? agent.state}`);
  return new AmalgamError(
    "agent_lost",
    `${lost} with ${formatQuantity(remaining, "unit")} to go (${summary(reasons)})`,
  );
}

/** `reasons`: by agent, its label first. */
export function refusedByAll(what: string, reasons: readonly string[]): AmalgamError {
  return new AmalgamError("usage", `${what} can run on no agent: ${summary(reasons)}`);
}

/** `reason`: what the wait was for. */
export function waitedTooLong(waitedMs: number, remaining: number, reason: string): AmalgamError {
  const seconds = Math.round(waitedMs / 1000);
  return new AmalgamError(
    "agent_lost",
    `No agent came for ${seconds} s with ${formatQuantity(remaining, "unit")} to go: ${reason}`,
  );
}

export function summary(reasons: readonly string[]): string {
  const more = reasons.length > maxReasons ? [`and ${reasons.length - maxReasons} more`] : [];
  return [...reasons.slice(0, maxReasons), ...more].join("; ");
}
