import type { PieceResult } from "../assemble/pieces.js";
import type { Unit } from "../plan/types.js";
import type { Agent } from "./agents.js";
import type { PartialResult } from "./partials-check.js";
import { readProgress } from "./progress.js";
import type { UnitRequest } from "./request.js";
import { UnitCheck } from "./unit-check.js";
import { Watchdog, type WatchdogOptions } from "./watchdog.js";

/** Where streamed output goes. A write is awaited before the agent is read on, so a slow disk slows the agent. */
export interface ChunkSink {
  /** `file` is an index into Plan.files, `offset` counts from its start. `data` must not be kept. */
  write(file: number, offset: number, data: Uint8Array): Promise<void>;
}

/** What an accepted attempt brought. */
export interface UnitResult {
  readonly unit: Unit;
  readonly epoch: number;
  readonly agent: string;
  /** One per piece, in order; none when gathering. */
  readonly receipts: readonly PieceResult[];
  readonly partials: readonly PartialResult[];
  readonly seconds: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** What the agent spent in reads and writes. */
  readonly ioSeconds: number;
}

export interface AttemptOptions extends WatchdogOptions {
  /** Needed for units that stream. */
  readonly sink?: ChunkSink;
  /** Called with all that the attempt has done so far. */
  readonly onProgress?: ((bytesRead: number, bytesWritten: number) => void) | undefined;
  /** W3C trace context: what the agent does belongs to it. */
  readonly traceparent?: string | undefined;
}

/**
 * Runs one unit on one agent and checks everything it sends. Fails with the agent's error, `chunk_corrupt`, `stalled`,
 * `agent_lost`, or the signal's reason; in every case the agent has been told to stop.
 */
export async function runAttempt(
  agent: Pick<Agent, "client" | "name" | "label">,
  request: UnitRequest,
  options: AttemptOptions = {},
): Promise<UnitResult> {
  const { unit, epoch, task } = request;
  const { sink, onProgress, traceparent } = options;
  if (task.kind === "stream" && sink === undefined) throw new TypeError("A unit that streams needs a sink");
  const check = new UnitCheck(request, agent.label);
  const started = performance.now();
  const done = { bytesRead: 0, bytesWritten: 0, ioSeconds: 0 };
  using watchdog = new Watchdog(agent.label, unit, options);
  const events = agent.client.merge(request.message, { signal: watchdog.signal, traceparent });
  try {
    for (;;) {
      const { value, done: isOver } = await watchdog.guard(() => events.next());
      if (isOver === true || value === undefined) break;
      const { event } = value;
      if (event.case === "chunk") {
        const chunk = check.chunk(event.value);
        await sink?.write(chunk.file, chunk.offset, chunk.data);
      } else if (event.case === "receipt") {
        check.receipt(event.value);
      } else if (event.case === "partial") {
        check.partial(event.value);
      } else if (event.case === "progress") {
        const progress = readProgress(event.value, agent.label);
        done.bytesRead += progress.bytesRead;
        done.bytesWritten += progress.bytesWritten;
        done.ioSeconds += progress.ioSeconds;
        onProgress?.(done.bytesRead, done.bytesWritten);
      }
    }
  } finally {
    // Stops the agent when a check or the sink has failed; without effect after the end.
    await events.return(undefined);
  }
  const seconds = (performance.now() - started) / 1000;
  return { unit, epoch, agent: agent.name, ...check.finish(), seconds, ...done };
}
