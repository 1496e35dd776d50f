/** Time as a thing that is handed in, so that everything that waits can be tested without waiting. */
export interface Clock {
  /** Milliseconds that never go back, from an origin of its own: not a date. */
  now(): number;
  /** Calls `run` once, not before `ms` have passed. A timer keeps no process alive. */
  after(ms: number, run: () => void): Timer;
}

export interface Timer {
  /** It will not run any more. Without effect on one that has. */
  clear(): void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    timer.unref();
    return { clear: () => clearTimeout(timer) };
  },
};

/**
 * Resolves when `ms` have passed, or as soon as the signal is aborted: look at it afterwards. Unlike a timer it holds the
 * process, since somebody waits.
 */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const held = keepAlive();
    const done = (): void => {
      held[Symbol.dispose]();
      timer.clear();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.after(ms, done);
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** Holds the process until it is disposed: for those who wait with a {@link Clock}'s timers and with nothing else. */
export function keepAlive(): Disposable {
  const timer = setInterval(() => undefined, 2 ** 30);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
