import { AmalgamError } from "../../shared/errors.js";
import type { DispatchAgent } from "../dispatch/dispatchable.js";

/** Agents that have too little memory for a model. */
export class TooSmall {
  /** By model and address. */
  readonly #known = new Set<string>();

  has(model: string, { address }: Pick<DispatchAgent, "address">): boolean {
    return this.#known.has(`${model} ${address}`);
  }

  /**
   * What a failure is to the whole: an agent's word that a model needs more memory than it may use will not change, so it
   * is another agent's turn; when all that are ready have said so, no other attempt helps.
   */
  judge(error: AmalgamError, model: string, agent: DispatchAgent, all: readonly DispatchAgent[]): AmalgamError {
    if (error.code !== "out_of_memory" || error.details["needed"] === undefined) return error;
    this.#known.add(`${model} ${agent.address}`);
    const others = all.filter((other) => other.state === "ready" && !this.has(model, other));
    return others.length > 0 ? error : new AmalgamError("usage", error.message, { details: error.details });
  }
}
