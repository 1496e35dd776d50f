import type { AmalgamError } from "../../shared/errors.js";
import type { AgentState } from "./states.js";

/** Work that an agent does in one go. */
export interface Dispatchable {
  /** Names it in messages. */
  readonly id: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/** What decides where work goes. */
export interface DispatchAgent {
  /** `"host:port"`. Of agents with the same one the last to appear counts. */
  readonly address: string;
  readonly name: string;
  /** For messages. */
  readonly label: string;
  /** What it runs at once. */
  readonly slots: number;
  readonly state: AgentState;
  readonly lostBecause?: AmalgamError | undefined;
  /** Takes what the failure of an attempt says about the agent that made it. */
  report(error: AmalgamError): void;
}

/** Agents that come and go. */
export interface AgentSet<A> {
  readonly list: readonly A[];
  /** Called whenever an agent changes its state. Returns what ends that. */
  onChange(listener: (agent: A) => void): () => void;
}

/** Where work may go, and where it is near its inputs. */
export interface Placement<Work, A> {
  /** Why the agent can never run it, as it is now. It is asked anew whenever an agent has come or changed. */
  refuses?(work: Work, agent: A): string | undefined;
  /** Input bytes that would come over the network. */
  remoteBytes?(work: Work, agent: A): number;
}
