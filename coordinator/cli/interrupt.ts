import { AmalgamError } from "../../shared/errors.js";

/** What it resolves with; rejects with the signal's reason as soon as that is aborted, and leaves it to itself. */
export async function unlessAborted<Result>(signal: AbortSignal, act: Promise<Result>): Promise<Result> {
  const settled = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true, signal: settled.signal });
    if (signal.aborted) abort();
  });
  try {
    return await Promise.race([act, aborted]);
  } finally {
    settled.abort();
  }
}

/** Does it with a signal that the first Ctrl-C (or SIGTERM) aborts, with `canceled`. The second ends the process. */
export async function interruptible<Result>(
  act: (signal: AbortSignal) => Promise<Result>,
  message = "Interrupted",
): Promise<Result> {
  const interrupt = new AbortController();
  const stop = (): void => {
    if (interrupt.signal.aborted) process.exit(130);
    interrupt.abort(new AmalgamError("canceled", message));
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  try {
    return await act(interrupt.signal);
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}
