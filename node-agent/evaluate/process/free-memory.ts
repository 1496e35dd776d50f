import { readFileSync } from "node:fs";
import { freemem, totalmem } from "node:os";
import { availableMemory, constrainedMemory } from "node:process";

/**
 * Bytes that this process could still use, those of cached files among them: the system gives these back by itself. In a
 * container with a limit of its own Node counts them as used, and a model that is mapped fills the cache with its file.
 */
export function freeMemory(): number {
  const limit = constrainedMemory() ?? 0;
  if (limit === 0 || limit >= totalmem()) return availableMemory();
  return Math.min(freemem(), limit, availableMemory() + cachedBytes(readStatistics()));
}

/** Where a container finds the statistics of its own memory: version 2 of control groups, and 1. */
const statisticsFiles = ["/sys/fs/cgroup/memory.stat", "/sys/fs/cgroup/memory/memory.stat"];

function readStatistics(): string {
  for (const path of statisticsFiles) {
    try {
      return readFileSync(path, "latin1");
    } catch {
      // The other version, or none.
    }
  }
  return "";
}

/** Of files, as memory.stat has it: one name and one number a line. */
export function cachedBytes(statistics: string): number {
  const lines = statistics.matchAll(/^(?:in)?active_file (\d+)$/gm);
  return [...lines].reduce((total, [, bytes]) => total + Number(bytes), 0);
}
