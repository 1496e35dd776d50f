import { readFileSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import type { WorkerSettings } from "../../../node-agent/worker-protocol.js";
import { faultFile, type WorkerFault } from "./fault-file.js";

const { roots } = workerData as WorkerSettings;
const path = join(roots[0] ?? "", faultFile);

parentPort?.on("message", () => {
  const fault = takeFault();
  if (fault === "hang") hang();
  if (fault === "exhaust memory") exhaustMemory();
});

function takeFault(): WorkerFault | undefined {
  try {
    const fault = readFileSync(path, "utf8") as WorkerFault;
    // One worker of those that have read it succeeds.
    unlinkSync(path);
    return fault;
  } catch {
    return undefined;
  }
}

/** Deaf to all that it is told, as a driver is that does not return. */
function hang(): never {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  for (;;) Atomics.wait(cell, 0, 0);
}

function exhaustMemory(): never {
  const hoard: number[][] = [];
  for (;;) hoard.push(new Array<number>(1_000_000).fill(hoard.length));
}
