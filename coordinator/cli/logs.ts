import { type Bus, wordOf } from "../../shared/bus/bus.js";
import { type ClusterEvent, clusterEvent, parseRecord } from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { onCluster } from "./cluster-access.js";
import type { ClusterOptions } from "./cluster-options.js";
import { parseDuration } from "./duration.js";
import { findJob } from "./find-job.js";
import { interruptible } from "./interrupt.js";
import { printable } from "./printable.js";
import type { Terminal } from "./terminal.js";
import { eventToJson } from "./watch-view.js";

export interface LogsOptions extends ClusterOptions {
  readonly node?: string | undefined;
  readonly follow: boolean;
  readonly since?: string | undefined;
}

/** `amalgam logs`: what coordinators and agents told, oldest first, as long as NATS keeps it. */
export function logs(job: string | undefined, options: LogsOptions, { stdout }: Terminal): Promise<number> {
  const { node, follow, json } = options;
  const sinceMs = options.since === undefined ? Number.NEGATIVE_INFINITY : parseSince(options.since, Date.now());
  return onCluster(options, "logs", async (bus) => {
    if (job !== undefined) await assertKnown(bus, job);
    const topic = job === undefined ? {} : { topic: wordOf(job) };
    return interruptible(async (signal) => {
      for await (const { body } of bus.events.read({ ...topic, follow, signal })) {
        const event = parseRecord(clusterEvent, body);
        if (event === undefined || (node !== undefined && event.node !== node) || !isSince(event, sinceMs)) continue;
        stdout.write(json ? `${JSON.stringify(eventToJson(event))}\n` : formatEvent(event, job === undefined));
      }
      return signal.aborted ? 130 : 0;
    });
  });
}

/** A job that something is told of, or that there is a record of. */
async function assertKnown(bus: Bus, job: string): Promise<void> {
  for await (const _ of bus.events.read({ topic: wordOf(job) })) return;
  await findJob(bus, job);
}

/** One whose time nobody can read is shown rather than lost. */
function isSince({ at }: ClusterEvent, sinceMs: number): boolean {
  return !(Date.parse(at) < sinceMs);
}

function parseSince(text: string, now: number): number {
  const ago = parseDuration(text);
  const at = ago === undefined ? Date.parse(text) : now - ago;
  if (!Number.isNaN(at)) return at;
  const examples = '"10m", "2h" or "2026-01-31T12:00:00Z"';
  throw new AmalgamError("usage", `Cannot use ${quote(text)} for "--since": it is no time such as ${examples}`);
}

function formatEvent({ at, node, level, job, message }: ClusterEvent, withJob: boolean): string {
  const about = withJob && job !== undefined ? `${job}: ` : "";
  return `${printable(`${at} ${node} ${level} ${about}${message}`)}\n`;
}
