import { fork } from "node:child_process";
import { formatBytes } from "../../../shared/bytes.js";
import { parentWords } from "../../../shared/child/serve-parent.js";
import { AmalgamError, type PlainError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { dataError } from "./complain.js";
import type { RowLimits } from "./limits.js";
import type { ParquetRow } from "./parquet-chunk.js";

export interface ParquetTask {
  readonly path: string;
  /** The first so many rows; infinity stands for all. */
  readonly rows: number;
  readonly limits: RowLimits;
}

export type ParquetMessage =
  | { readonly type: "progress" }
  | { readonly type: "rows"; readonly rows: readonly ParquetRow[]; readonly bytes: number }
  | { readonly type: "end" }
  | { readonly type: "failed"; readonly error: PlainError };

/** Looks per `stallMs`. Ten in vain are a stall: after a laptop's sleep there is one. */
const looks = 10;

/** Of what the process wrote about its own death, characters; V8's message is within the first thousand. */
const maxLastWords = 4096;

/**
 * Reads a Parquet file in a process of its own, and gives the rows in pieces. A few damaged files keep the reader busy
 * without end, others make the engine abort: a process holds both back. Throws `usage`, which names the file, for one
 * that cannot be read, that takes more than `limits.heapBytes` or ends the reader otherwise, or in which nothing has
 * moved for `limits.stallMs`; `out_of_memory` where the system killed the reader.
 */
export function readInProcess(
  task: ParquetTask,
  take: (rows: readonly ParquetRow[], bytes: number) => void,
): Promise<void> {
  const { path, limits } = task;
  return new Promise((resolve, reject) => {
    const child = fork(new URL("./parquet-main.js", import.meta.url), parentWords(), {
      execArgv: [`--max-old-space-size=${Math.ceil(limits.heapBytes / 2 ** 20)}`],
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    const end = (settle: () => void): void => {
      clearInterval(watch);
      child.removeAllListeners("message");
      child.kill("SIGKILL");
      settle();
    };
    const fail = (error: AmalgamError): void => end(() => reject(error));
    let looksInVain = 0;
    const watch = setInterval(() => {
      looksInVain += 1;
      if (looksInVain > looks) fail(stalled(task));
    }, limits.stallMs / looks);
    child.on("message", (message: ParquetMessage) => {
      looksInVain = 0;
      if (message.type === "end") return end(resolve);
      if (message.type === "failed") return fail(AmalgamError.fromPlain(message.error));
      if (message.type === "progress") return;
      try {
        take(message.rows, message.bytes);
      } catch (error) {
        fail(AmalgamError.from(error));
      }
    });
    let lastWords = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      lastWords = `${lastWords}${text}`.slice(0, maxLastWords);
    });
    child.on("error", (error) => fail(dataError(path, `Cannot start a reader of Parquet: ${error.message}`, error)));
    // Not "exit": what it wrote last is still on its way then.
    child.on("close", (code, signal) => fail(death(task, signal ?? `code ${code}`, lastWords)));
    // It may be gone already, which "close" says.
    child.send(task, () => undefined);
  });
}

function stalled({ path, limits }: ParquetTask): AmalgamError {
  const problem = `nothing has moved for ${limits.stallMs / 1000} s, it may be damaged`;
  return dataError(path, `Cannot read the file as Parquet: ${problem}`);
}

function death({ path, limits }: ParquetTask, how: string, lastWords: string): AmalgamError {
  if (lastWords.includes("JavaScript heap out of memory")) {
    const advice = "write it with smaller row groups, unless it is damaged";
    return dataError(path, `Reading a row group takes more than ${formatBytes(limits.heapBytes)}, ${advice}`);
  }
  if (how === "SIGKILL") {
    const message = `${path}  Its reader was killed (SIGKILL), as a system does that is out of memory`;
    return new AmalgamError("out_of_memory", message, { details: { place: path } });
  }
  const reason = reasonIn(lastWords);
  const words = reason === undefined ? "" : `: ${quote(reason)}`;
  return dataError(path, `Cannot read the file as Parquet: its reader ended with ${how}${words}, it may be damaged`);
}

/** The line that says why. V8 puts a frame around it, with "Fatal error in , line 0" above. */
function reasonIn(lastWords: string): string | undefined {
  const lines = lastWords.split("\n").map((line) => line.replace(/^[#\s]+/, "").trim());
  return lines.findLast((line) => /^(?:fatal |\w*Error: )/i.test(line)) ?? lines.find((line) => line !== "");
}
