import { readFileSync, readlinkSync } from "node:fs";
import { thisBoot } from "../../shared/child/this-boot.js";

/** What tells one process from every other, also from a later one that got the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** In clock ticks since the machine booted; undefined where there is no /proc. */
  readonly started: string | undefined;
  /** The boot of the machine and the pid namespace: within it a pid means the same process to everyone. */
  readonly machine: string;
}

export function thisProcess(): ProcessIdentity {
  return { pid: process.pid, started: startOf(process.pid), machine: thisMachine() };
}

/** Whether the process still runs; undefined when that cannot be told from here, as on another machine. */
export function isRunning({ pid, started, machine }: ProcessIdentity): boolean | undefined {
  if (machine !== thisMachine()) return undefined;
  if (started !== undefined) return startOf(pid) === started;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Undefined also for a zombie, which has ended and only waits for its parent to notice. */
function startOf(pid: number): string | undefined {
  const stat = readOr(() => readFileSync(`/proc/${pid}/stat`, "latin1"));
  // The second field is the program's name in parentheses, which may itself hold spaces and parentheses; proc(5)
  // numbers the state 3 and the start time 22.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ") ?? [];
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[22 - 3];
}

/** Two containers on one machine share its boot and not its pids, so both are part of the name. */
function thisMachine(): string {
  const namespace = readOr(() => readlinkSync("/proc/self/ns/pid"));
  return namespace === undefined ? thisBoot() : `${thisBoot()} ${namespace}`;
}

function readOr(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
