import type { PieceResult } from "../../coordinator/assemble/pieces.js";
import { AmalgamError } from "../../shared/errors.js";
import { kernelsVersion, protocolVersion } from "../../shared/rpc/version.js";
import type { Network } from "./network.js";
import type { SimProcess } from "./process.js";
import type { SimAgent, SimRequest } from "./sim-agent.js";

/** An agent that sends nothing for so long has stalled: as `runAttempt()` has it. */
const stallMs = 60_000;

interface CallOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

type Answer<T> = (reply: T | AmalgamError) => void;

/** What a coordinator has of an agent, over the simulated network instead of gRPC. */
export class SimClient {
  readonly #from: SimProcess;
  readonly #network: Network;
  readonly #find: () => SimAgent | undefined;

  /** `find`: the agent that listens at the address right now. */
  constructor(from: SimProcess, network: Network, find: () => SimAgent | undefined) {
    this.#from = from;
    this.#network = network;
    this.#find = find;
  }

  async describe({ leadership }: { leadership?: SimRequest["order"] }, options: CallOptions) {
    const order = leadership ?? { job: "", fence: 0n };
    const ask = (agent: SimAgent, answer: Answer<readonly [SimAgent, number]>) => {
      try {
        answer([agent, agent.describe(order)]);
      } catch (error) {
        answer(AmalgamError.from(error));
      }
      return () => undefined;
    };
    const [{ process }, slots] = await this.#call(ask, "agent_lost", options);
    const versions = { version: "1", protocol: protocolVersion, kernels: kernelsVersion };
    return { name: process.name, slots, memoryBytes: 0n, roots: [], ...versions };
  }

  merge(request: SimRequest, signal: AbortSignal): Promise<readonly PieceResult[]> {
    return this.#call((agent, answer) => agent.merge(request, answer), "stalled", { signal, timeoutMs: stallMs });
  }

  close(): void {
    // Calls are ended by their signals.
  }

  #call<T>(
    ask: (agent: SimAgent, answer: Answer<T>) => () => void,
    late: "agent_lost" | "stalled",
    { signal, timeoutMs = stallMs }: CallOptions,
  ): Promise<T> {
    const from = this.#from;
    const network = this.#network;
    return new Promise((resolve, reject) => {
      const agent = this.#find();
      if (agent === undefined) {
        from.later(1, () => reject(new AmalgamError("agent_lost", "Nobody listens there")));
        return;
      }
      let isOver = false;
      let cancel = (): void => undefined;
      const settle = (reply: T | AmalgamError): void => {
        if (isOver) return;
        isOver = true;
        timer.clear();
        unwatch();
        signal?.removeEventListener("abort", aborted);
        if (reply instanceof AmalgamError) reject(reply);
        else resolve(reply);
      };
      const giveUp = (error: AmalgamError): void => {
        settle(error);
        network.send(from, agent.process, () => cancel());
      };
      const aborted = (): void => giveUp(AmalgamError.from(signal?.reason));
      const lost = (): AmalgamError => new AmalgamError("agent_lost", `Lost the connection to ${agent.process.name}`);
      const timer = from.clock.after(timeoutMs, () =>
        giveUp(new AmalgamError(late, `No sign of ${agent.process.name}`)),
      );
      const unwatch = network.watch(from, agent.process, { fail: giveUp, abandon: () => cancel() });
      signal?.addEventListener("abort", aborted, { once: true });
      if (signal?.aborted) return aborted();
      network.send(from, agent.process, () => {
        if (isOver) return;
        cancel = ask(agent, (reply) => {
          if (network.isAnswerKept) network.send(agent.process, from, () => settle(reply));
          else from.later(1, () => settle(lost()));
        });
      });
    });
  }
}
