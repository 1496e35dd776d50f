import { basename, dirname, join } from "node:path";
import { type Clock, sleep } from "../../shared/clock.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { Authority } from "./lock-file.js";
import { isRunning } from "./process-identity.js";
import { type Holder, readHolder } from "./read-holder.js";

/** How long a holder elsewhere may be silent before it counts as gone. */
const defaultPatienceMs = 30_000;
/** The same for one who has a lease, which says already that nobody else should be at work. */
const defaultAuthorityPatienceMs = 5_000;
/** Written right after it is created, so a file without a holder is given only a moment. */
const unwrittenPatienceMs = 1_000;
const lookMs = 200;

export interface Challenge {
  readonly authority?: Authority | undefined;
  /** @default 30 seconds, with an authority 5 */
  readonly patienceMs?: number | undefined;
  readonly clock: Clock;
}

/**
 * Whether the holder of a lock must be left alone. One with an earlier lease on the same job need not be. Whoever is
 * silent for long enough loses the lock: by pid only where that says for sure, and to one with a lease even while its
 * process is there, since that may be frozen. A later lease protects nobody who is gone: an engine that was set back gives
 * out earlier ones.
 */
export async function isTaken(path: string, seen: Holder | undefined, challenge: Challenge): Promise<boolean> {
  const { authority, clock } = challenge;
  const theirs = seen?.authority;
  if (authority !== undefined && theirs?.job === authority.job && theirs.epoch < authority.epoch) return false;
  const running = seen && isRunning({ ...seen, started: seen.started });
  if (running === false) return false;
  if (running === true && authority === undefined) return true;
  const usualMs = authority === undefined ? defaultPatienceMs : defaultAuthorityPatienceMs;
  const patienceMs = challenge.patienceMs ?? usualMs;
  const deadline = clock.now() + (seen === undefined ? Math.min(patienceMs, unwrittenPatienceMs) : patienceMs);
  while (clock.now() < deadline) {
    await sleep(clock, Math.min(lookMs, patienceMs / 10));
    const now = await readHolder(path);
    if (now === "gone") return false;
    if (now?.token !== seen?.token || now?.beat !== seen?.beat) return true;
  }
  return false;
}

/**
 * Fails with `output_refused` and says who holds a lock that must be left alone, or with `fenced` when it is somebody who
 * leads the same job and is alive. `"gone"`: the lock is not there any more.
 */
export async function challenge(path: string, challenge: Challenge): Promise<"free" | "gone"> {
  const holder = await readHolder(path);
  if (holder === "gone") return "gone";
  if (!(await isTaken(path, holder, challenge))) return "free";
  const { authority } = challenge;
  const rival = holder?.authority;
  // Both were told to lead it, as happens when the engine lost its data: who has the lock goes on.
  if (rival !== undefined && rival.job === authority?.job) throw surpassed(path, rival, authority);
  throw refused(path, holder);
}

function refused(path: string, holder: Holder | undefined): AmalgamError {
  const who = holder === undefined ? "another process" : `process ${holder.pid} on ${quote(holder.host)}`;
  return new AmalgamError(
    "output_refused",
    `Cannot lock ${quote(lockName(path))}: ${who} is merging into the same output, wait for it or stop it`,
    { details: { lock: path, ...(holder && { pid: String(holder.pid), host: holder.host }) } },
  );
}

function surpassed(path: string, theirs: Authority, ours: Authority): AmalgamError {
  return new AmalgamError(
    "fenced",
    `Cannot lock ${quote(lockName(path))}: another coordinator leads job ${quote(ours.job)} with epoch ` +
      `${theirs.epoch}, this one has epoch ${ours.epoch}`,
  );
}

/** Without the generation, which tells people nothing. */
function lockName(path: string): string {
  return join(dirname(path), basename(path).replace(/\.\d+$/, ""));
}
