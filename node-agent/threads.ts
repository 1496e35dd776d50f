import { isMainThread, type Worker } from "node:worker_threads";
import { sleep, systemClock } from "../shared/clock.js";

const living = new Set<Worker>();

/** Keeps account of a thread until it has ended. */
export function track(thread: Worker): void {
  living.add(thread);
  thread.once("exit", () => living.delete(thread));
}

export function livingThreads(): number {
  return living.size;
}

/**
 * Ends all tracked threads, so that the process can end: Node waits for every one of them, and one that waits inside the
 * system, as for storage that hangs, may never end. If one is left after `patienceMs` the process ends by SIGKILL.
 */
export async function endThreads(patienceMs: number): Promise<void> {
  if (living.size === 0) return;
  await atMost(patienceMs, Promise.all([...living].map((thread) => thread.terminate())));
  // A thread that starts threads has a process around it that others need.
  if (living.size === 0 || !isMainThread) return;
  const threads = `${living.size} of its threads still wait for storage that does not answer`;
  process.stderr.write(`The process ends itself by SIGKILL, for ${threads}\n`);
  process.kill(process.pid, "SIGKILL");
}

/** Resolves when the promise has, or the time is over. */
export async function atMost(ms: number, promise: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  await Promise.race([promise, sleep(systemClock, ms, over.signal)]);
  over.abort();
}
