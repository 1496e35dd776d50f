import type { MessageInitShape } from "@bufbuild/protobuf";
import { AmalgamError } from "../../shared/errors.js";
import type { EvaluateRequestSchema } from "../../shared/gen/amalgam/v1/agent_pb.js";
import type { Agent } from "../dispatch/agents.js";
import { readProgress, readSize } from "../dispatch/progress.js";
import { Watchdog, type WatchdogOptions } from "../dispatch/watchdog.js";
import type { Slice } from "./slices.js";
import type { BatchOutput } from "./types.js";
import { readResult } from "./wire.js";

/** A slice ready to be sent: those of its batches that have no answer yet. */
export interface SliceRequest {
  readonly slice: Slice;
  readonly message: MessageInitShape<typeof EvaluateRequestSchema>;
  /** By number of the batch: how many examples and target tokens it has. */
  readonly expected: ReadonlyMap<number, { readonly examples: number; readonly targets: number }>;
}

/** What ran a slice. */
export interface SliceFacts {
  readonly agent: string;
  readonly provider: string;
  /** Why it is no better provider; empty: it is the best that the agent was told to use. */
  readonly fallback: string;
  readonly runtime: string;
  /** Seconds until the model was ready. */
  readonly loadSeconds: number;
  readonly peakBytes: number;
}

export interface SliceOptions extends WatchdogOptions {
  /** Takes a batch's answer as it comes: it stays, whatever becomes of the attempt. */
  readonly onOutput: (batch: number, output: BatchOutput, seconds: number) => void;
  /** Called with the bytes that the attempt has read so far. */
  readonly onProgress?: ((bytesRead: number, bytesWritten: number) => void) | undefined;
}

/**
 * Runs one slice on one agent and checks all that it sends. Fails with the agent's error, `chunk_corrupt`, `stalled`,
 * `agent_lost`, or the signal's reason; in every case the agent has been told to stop.
 */
export async function runSlice(
  { client, name, label }: Pick<Agent, "client" | "name" | "label">,
  { slice, message, expected }: SliceRequest,
  options: SliceOptions,
): Promise<SliceFacts> {
  const corrupt = (problem: string): AmalgamError =>
    new AmalgamError("chunk_corrupt", `Agent ${label} sent a wrong answer to slice ${slice.id}: ${problem}`, {
      details: { agent: label },
    });
  const missing = new Set(expected.keys());
  let facts: SliceFacts | undefined;
  let [read, written] = [0, 0];
  using watchdog = new Watchdog(label, slice, options);
  const events = client.evaluate(message, { signal: watchdog.signal });
  try {
    for (;;) {
      const { value, done } = await watchdog.guard(() => events.next());
      if (done === true || value === undefined) break;
      const { event } = value;
      if (event.case === "result") {
        const { batch, seconds } = event.value;
        const wanted = expected.get(batch);
        if (wanted === undefined || !missing.delete(batch)) throw corrupt(`batch ${batch} was not asked for, or twice`);
        options.onOutput(batch, readResult(event.value, slice.measure, wanted, label), seconds);
      } else if (event.case === "facts") {
        const { provider, fallback, runtime, loadSeconds, peakBytes } = event.value;
        facts = { agent: name, provider, fallback, runtime, loadSeconds, peakBytes: readSize(peakBytes, label) };
      } else if (event.case === "progress") {
        const { bytesRead, bytesWritten } = readProgress(event.value, label);
        read += bytesRead;
        written += bytesWritten;
        options.onProgress?.(read, written);
      }
    }
  } finally {
    // Stops the agent when a check has failed; without effect after the end.
    await events.return(undefined);
  }
  if (missing.size > 0) throw corrupt(`${missing.size} of ${expected.size} batches are missing`);
  if (facts === undefined) throw corrupt("it does not say what ran it");
  return facts;
}
