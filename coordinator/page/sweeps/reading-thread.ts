import { Worker } from "node:worker_threads";
import { AmalgamError, type PlainError } from "../../../shared/errors.js";
import type { SweepSummary } from "./summary.js";

export interface ReadingTask {
  readonly number: number;
  readonly what: "summary" | "report";
  readonly folder: string;
}

export type ReadingAnswer =
  | { readonly number: number; readonly value: unknown }
  | { readonly number: number; readonly error: PlainError };

interface Waiting {
  resolve(value: unknown): void;
  reject(error: AmalgamError): void;
}

/** A report of ten thousand trials takes some 500 MB. */
const heapMiB = 2_048;

/**
 * Reads folders of sweeps in a thread of its own, started when it is first needed: a report takes seconds, in which a
 * coordinator must go on renewing its leases. A thread that dies is replaced with the next task.
 */
export class ReadingThread implements AsyncDisposable {
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #tasks = 0;

  /** Undefined: there is no sweep. */
  summary(folder: string): Promise<SweepSummary | undefined> {
    return this.#ask("summary", folder) as Promise<SweepSummary | undefined>;
  }

  /** The report's HTML. */
  report(folder: string): Promise<string> {
    return this.#ask("report", folder) as Promise<string>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    this.#end(new AmalgamError("canceled", "The page is closed"));
    await worker?.terminate();
  }

  #ask(what: ReadingTask["what"], folder: string): Promise<unknown> {
    this.#worker ??= this.#start();
    this.#tasks += 1;
    const task: ReadingTask = { number: this.#tasks, what, folder };
    const answer = new Promise<unknown>((resolve, reject) => this.#waiting.set(task.number, { resolve, reject }));
    this.#worker.postMessage(task);
    return answer;
  }

  #start(): Worker {
    const worker = new Worker(new URL("./reading-worker.js", import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: heapMiB },
    });
    // It ends with the process, whether it is idle or not.
    worker.unref();
    worker.on("message", (answer: ReadingAnswer) => {
      const waiting = this.#waiting.get(answer.number);
      this.#waiting.delete(answer.number);
      if ("error" in answer) waiting?.reject(AmalgamError.fromPlain(answer.error));
      else waiting?.resolve(answer.value);
    });
    const died = (error: AmalgamError): void => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      this.#end(error);
    };
    worker.on("error", (error) => died(AmalgamError.from(error)));
    worker.on("exit", (code) => died(new AmalgamError("internal", `The reading thread ended with code ${code}`)));
    return worker;
  }

  #end(error: AmalgamError): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
