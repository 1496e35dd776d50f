import { createHash } from "node:crypto";
import { connectAgents } from "../../coordinator/dispatch/agents.js";
import { runAttempt, type UnitResult } from "../../coordinator/dispatch/attempt.js";
import { createRequestBuilder, type RequestBuilderOptions } from "../../coordinator/dispatch/request.js";
import type { Plan } from "../../coordinator/plan/types.js";
import { cutUnits } from "../../coordinator/plan/units.js";
import { memorySink, only } from "./dispatch.js";

export interface OneAgentRun extends RequestBuilderOptions {
  /** Pieces that need statistics of others must not be cut. @default whole tensors */
  readonly unitBytes?: number;
  readonly onProgress?: (bytesRead: number) => void;
  readonly signal?: AbortSignal;
}

/** Has one agent stream a whole plan of one file, unit after unit. */
export async function streamPlan(plan: Plan, address: string, { unitBytes = 1e9, ...options }: OneAgentRun = {}) {
  const { onProgress, signal, ...places } = options;
  await using agents = await connectAgents([address]);
  const sink = memorySink(plan);
  const build = createRequestBuilder(plan, "job", places);
  const results: UnitResult[] = [];
  for (const unit of cutUnits(plan, { unitBytes })) {
    const request = build(unit, { epoch: 1, task: { kind: "stream", chunkBytes: 100_000 } });
    results.push(
      await runAttempt(only(agents), request, {
        sink,
        ...(signal && { signal }),
        ...(onProgress && { onProgress }),
      }),
    );
  }
  return { results, sha256: createHash("sha256").update(sink.bytes).digest("hex"), units: results.length };
}
