import { parentPort, workerData } from "node:worker_threads";
import { AmalgamError } from "../../../shared/errors.js";
import { readParquetFile } from "./parquet-file.js";
import type { ParquetMessage, ParquetTask } from "./parquet-thread.js";

const task = workerData as ParquetTask;

function send(message: ParquetMessage, buffers: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, buffers);
}

try {
  for await (const { rows, bytes, buffers } of readParquetFile(task, () => void Atomics.add(task.progress, 0, 1))) {
    send({ type: "rows", rows, bytes }, buffers);
  }
  send({ type: "end" });
} catch (error) {
  send({ type: "failed", error: AmalgamError.from(error).plain });
}
