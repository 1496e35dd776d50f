import { type Clock, sleep } from "../../shared/clock.js";
import { AmalgamError } from "../../shared/errors.js";

export interface WaitOptions {
  readonly clock: Clock;
  /** How long the bus may be absent. */
  readonly waitMs: number;
  /** Aborted: fail with the signal's reason. */
  readonly signal: AbortSignal;
  /** Called every five seconds with what is wrong. */
  readonly onWaiting: (error: AmalgamError) => void;
}

const retryMs = 500;
const noticeMs = 5_000;

/**
 * What `attempt` comes to, once it does not fail with `bus_failed` any more: machines start in any order. Every other
 * failure is final, and so is the one that comes after `waitMs`.
 */
export async function waitForBus<T>(attempt: () => Promise<T>, options: WaitOptions): Promise<T> {
  const { clock, waitMs, signal, onWaiting } = options;
  const begun = clock.now();
  let notices = 0;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (reason) {
      const error = AmalgamError.from(reason);
      const waitedMs = clock.now() - begun;
      if (error.code !== "bus_failed") throw error;
      if (waitedMs >= waitMs) throw gaveUp(error, waitMs);
      if (waitedMs >= notices * noticeMs) {
        notices = Math.floor(waitedMs / noticeMs) + 1;
        onWaiting(error);
      }
    }
    await sleep(clock, retryMs, signal);
  }
}

function gaveUp(cause: AmalgamError, waitMs: number): AmalgamError {
  const problem = `Cannot join the cluster: ${cause.message} (waited for ${waitMs / 1000} s)`;
  return new AmalgamError("bus_failed", problem, { cause, details: cause.details });
}
