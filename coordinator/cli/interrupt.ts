import { AmalgamError } from "../../shared/errors.js";

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
