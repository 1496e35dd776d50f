import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import type { Failure, SeedsWanted } from "./seeds-worker.js";

/** Enough to find what a change breaks; a change to what is simulated is seen against ten thousand. */
const seeds = Number(process.env["AMALGAM_SEEDS"] ?? 3_000);
const firstSeed = Number(process.env["AMALGAM_FIRST_SEED"] ?? 1);
const threads = 2;

async function failuresOf(wanted: SeedsWanted): Promise<readonly Failure[]> {
  const worker = new Worker(new URL("./seeds-worker.js", import.meta.url), { workerData: wanted });
  try {
    const [failures] = (await once(worker, "message")) as [readonly Failure[]];
    return failures;
  } finally {
    await worker.terminate();
  }
}

function describeFailure({ seed, violations, trace }: Failure): string {
  return [
    `Seed ${seed}: ${violations.join("; ")}`,
    `To see it again: node dist/test/simulation/replay.js ${seed}`,
    ...trace.map((line) => `  ${line}`),
  ].join("\n");
}

test(`a cluster's job ends golden, once, whatever goes wrong: ${seeds} seeds from ${firstSeed}`, {
  timeout: 900_000,
}, async () => {
  const wanted = Array.from({ length: threads }, (_, i) => ({
    ...{ from: firstSeed + i, to: firstSeed + seeds, step: threads },
  }));
  const failures = (await Promise.all(wanted.map(failuresOf))).flat();
  expect(failures.map(describeFailure).join("\n\n")).toBe("");
});
