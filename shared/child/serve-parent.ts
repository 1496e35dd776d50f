import { writeFileSync } from "node:fs";
import { Worker } from "node:worker_threads";

/** The words that a forked process finds its parent by. The parent may be gone before the process can ask who it is. */
export function parentWords(): readonly string[] {
  return [String(process.pid)];
}

/**
 * For a process that was forked with {@link parentWords}, to do what may take a process down: it lives as long as its
 * parent, even in native code or in a loop that never hears of a disconnect, and is the first to go when memory runs out,
 * since it holds nothing that is not elsewhere.
 */
export function serveParent(): void {
  // Signals to a terminal's or a service's processes are for the parent, which says what follows from them.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => undefined);
  process.on("disconnect", () => process.exit(0));
  const workerData = Number(process.argv[2]);
  new Worker(new URL("./parent-watch.js", import.meta.url), { workerData, execArgv: [] }).unref();
  preferToBeKilled();
}

/** When memory runs out the kernel kills something: rather this. */
function preferToBeKilled(): void {
  try {
    writeFileSync("/proc/self/oom_score_adj", "1000");
  } catch {
    // Not Linux, or not allowed.
  }
}
