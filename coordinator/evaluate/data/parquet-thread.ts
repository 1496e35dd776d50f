import { Worker } from "node:worker_threads";
import { formatBytes } from "../../../shared/bytes.js";
import { AmalgamError, type PlainError } from "../../../shared/errors.js";
import { dataError } from "./complain.js";
import type { RowLimits } from "./limits.js";
import type { ParquetRow } from "./parquet-chunk.js";

/** What a thread that reads Parquet is started with. */
export interface ParquetTask {
  readonly path: string;
  /** The first so many rows; infinity stands for all. */
  readonly rows: number;
  readonly limits: RowLimits;
  /** Shared; its only element changes whenever reading has got further. */
  readonly progress: Int32Array<SharedArrayBuffer>;
}

export type ParquetMessage =
  | { readonly type: "rows"; readonly rows: readonly ParquetRow[]; readonly bytes: number }
  | { readonly type: "end" }
  | { readonly type: "failed"; readonly error: PlainError };

/** Looks per `stallMs`. Ten in vain are a stall: after a laptop's sleep there is one. */
const looks = 10;

/**
 * Reads a Parquet file in a thread of its own, and gives the rows in pieces. A few damaged files keep the reader busy
 * without end; a thread can be ended. Throws `usage`, which names the file, for one that cannot be read, that takes too
 * much memory, or in which nothing has moved for `limits.stallMs`.
 */
export function readInThread(
  task: Omit<ParquetTask, "progress">,
  take: (rows: readonly ParquetRow[], bytes: number) => void,
): Promise<void> {
  const { path, limits } = task;
  const progress = new Int32Array(new SharedArrayBuffer(4));
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./parquet-worker.js", import.meta.url), {
      workerData: { ...task, progress } satisfies ParquetTask,
      resourceLimits: { maxOldGenerationSizeMb: limits.heapBytes / 2 ** 20 },
    });
    const end = (settle: () => void): void => {
      clearInterval(watch);
      settle();
      void worker.terminate();
    };
    const fail = (error: AmalgamError): void => end(() => reject(error));
    const stalled = `Cannot read the file as Parquet: nothing has moved for ${limits.stallMs / 1000} s, it may be damaged`;
    const watch = watchFor(progress, limits.stallMs, () => fail(dataError(path, stalled)));
    worker.on("message", (message: ParquetMessage) => {
      if (message.type === "end") return end(resolve);
      if (message.type === "failed") return fail(AmalgamError.fromPlain(message.error));
      try {
        take(message.rows, message.bytes);
      } catch (error) {
        fail(AmalgamError.from(error));
      }
    });
    worker.on("error", (error) => fail(explain(task, error)));
    worker.on("exit", (code) =>
      fail(new AmalgamError("internal", `${path}  The reading thread ended with code ${code}`)),
    );
  });
}

/** Calls back when a counter has stayed the same for so long. */
function watchFor(progress: Int32Array<SharedArrayBuffer>, stallMs: number, stalled: () => void): NodeJS.Timeout {
  let seen = 0;
  let inVain = 0;
  return setInterval(() => {
    const now = Atomics.load(progress, 0);
    inVain = now === seen ? inVain + 1 : 0;
    seen = now;
    if (inVain >= looks) stalled();
  }, stallMs / looks);
}

function explain({ path, limits }: Pick<ParquetTask, "path" | "limits">, error: unknown): AmalgamError {
  if ((error as NodeJS.ErrnoException).code === "ERR_WORKER_OUT_OF_MEMORY") {
    const advice = "write it with smaller row groups, unless it is damaged";
    return dataError(path, `Reading a row group takes more than ${formatBytes(limits.heapBytes)}, ${advice}`, error);
  }
  const reason = error instanceof Error ? error.message : String(error);
  return dataError(path, `Cannot read the file as Parquet: ${reason}`, error);
}
