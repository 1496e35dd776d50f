import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { AmalgamError } from "../../shared/errors.js";
import type { ReadingAnswer, ReadingTask } from "./reading-worker.js";

/** Threads that read, for the whole process. SHA-256 takes a core, and merging wants the others. */
const maxThreads = Math.max(1, Math.min(4, Math.floor(availableParallelism() / 2)));

interface Waiting {
  readonly resolve: (answer: ReadingAnswer) => void;
  readonly reject: (error: unknown) => void;
}

/** A thread that is started when it is first needed and keeps the process alive only while it has work. */
class ReadingThread {
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #tasks = 0;

  run(task: Omit<ReadingTask, "id">): Promise<ReadingAnswer> {
    const worker = this.#start();
    this.#tasks += 1;
    const id = this.#tasks;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ ...task, id } satisfies ReadingTask);
    });
  }

  #start(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = new Worker(new URL("./reading-worker.js", import.meta.url));
    worker.on("message", (answer: ReadingAnswer) => this.#settle(answer));
    worker.on("error", (error) => this.#fail(worker, error));
    worker.on("exit", (code) =>
      this.#fail(worker, new AmalgamError("internal", `A reading thread ended, code ${code}`)),
    );
    this.#worker = worker;
    return worker;
  }

  #settle(answer: ReadingAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) this.#worker?.unref();
    if (answer.error === undefined) waiting?.resolve(answer);
    else waiting?.reject(Object.assign(new Error(answer.error.message), { code: answer.error.errno }));
  }

  /** Whoever waits learns of it; the next task starts another thread. */
  #fail(worker: Worker, error: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

const threads = Array.from({ length: maxThreads }, () => new ReadingThread());

/** Runs a task on the thread that this key always gets: a running hash lives there. Tasks of a key run in order. */
export function runOnThread(key: number, task: Omit<ReadingTask, "id">): Promise<ReadingAnswer> {
  return (threads[key % threads.length] as ReadingThread).run(task);
}
