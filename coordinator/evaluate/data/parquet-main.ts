import { serveParent } from "../../../shared/child/serve-parent.js";
import { AmalgamError } from "../../../shared/errors.js";
import { readParquetFile } from "./parquet-file.js";
import type { ParquetMessage, ParquetTask } from "./parquet-process.js";

// The process that reads a Parquet file. It waits to be killed when it is done: its parent has what it needs by then.

/** Messages of progress are as far apart, in milliseconds: some pages take less time than a message. */
const quietMs = 100;

let lastSign = 0;

serveParent();
process.once("message", (task: ParquetTask) => void read(task));

async function read(task: ParquetTask): Promise<void> {
  try {
    for await (const { rows, bytes } of readParquetFile(task, tellProgress)) await send({ type: "rows", rows, bytes });
    await send({ type: "end" });
  } catch (error) {
    await send({ type: "failed", error: AmalgamError.from(error).plain });
  }
}

/** Nothing else is on its way while the reader reads, so this is written at once, in the middle of a loop too. */
function tellProgress(): void {
  const now = performance.now();
  if (now - lastSign < quietMs) return;
  lastSign = now;
  void send({ type: "progress" });
}

/** Resolves when the system has taken the message, which it does as fast as the parent reads. */
function send(message: ParquetMessage): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, undefined, undefined, () => resolve());
  });
}
