import type { JobEvent } from "./types.js";

/** Where a job stands, worked out from its events. */
export interface Progress {
  readonly phase: string;
  /** Bytes read and written so far, and in all, in this phase. */
  readonly done: number;
  readonly work: number;
  readonly unitsDone: number;
  readonly units: number;
  readonly retries: number;
  readonly bytesPerSecond: number;
  /** Undefined until there is a rate to speak of. */
  readonly etaSeconds: number | undefined;
}

/** Adds up what attempts report. An attempt that fails takes its progress back. */
export class ProgressModel {
  readonly #now: () => number;
  #phase = "starting";
  #phaseStarted = 0;
  #work = 0;
  #units = 0;
  #finished = 0;
  #unitsDone = 0;
  #retries = 0;
  /** Bytes of this phase that were done before it began. */
  #doneBefore = 0;
  readonly #running = new Map<string, number>();
  /** Their sum: thousands run at once, and each says every moment how far it is. */
  #runningBytes = 0;

  /** `now` in milliseconds, from any start. */
  constructor(now: () => number) {
    this.#now = now;
  }

  observe(event: JobEvent): void {
    if (event.type === "gathering") this.#begin(`statistics ${event.pass + 1}`, event.units, event.work);
    else if (event.type === "writing") this.#begin("merging", event.units, event.work);
    else if (event.type === "committing") this.#phase = "committing";
    else if (event.type === "sending") this.#observeSending(event);
    else if (event.type === "dispatch") this.#observeDispatch(event.event);
  }

  get progress(): Progress {
    const seconds = (this.#now() - this.#phaseStarted) / 1000;
    const done = Math.min(this.#work, this.#finished + this.#runningBytes);
    const bytesPerSecond = seconds > 0 ? Math.max(0, done - this.#doneBefore) / seconds : 0;
    return {
      phase: this.#phase,
      done,
      work: this.#work,
      unitsDone: this.#unitsDone,
      units: this.#units,
      retries: this.#retries,
      bytesPerSecond,
      etaSeconds: bytesPerSecond > 0 ? (this.#work - done) / bytesPerSecond : undefined,
    };
  }

  #begin(phase: string, units: number, work: number): void {
    this.#phase = phase;
    this.#phaseStarted = this.#now();
    this.#work = work;
    this.#units = units;
    this.#finished = 0;
    this.#doneBefore = 0;
    this.#unitsDone = 0;
    this.#running.clear();
    this.#runningBytes = 0;
  }

  #observeSending({ sent, bytes }: Extract<JobEvent, { type: "sending" }>): void {
    if (this.#phase !== "sending") {
      this.#begin("sending", 0, bytes);
      this.#doneBefore = sent;
    }
    this.#finished = sent;
  }

  #observeDispatch(event: Extract<JobEvent, { type: "dispatch" }>["event"]): void {
    if (!("unit" in event)) return;
    const attempt = `${event.unit.id}/${event.epoch}`;
    if (event.type === "started") this.#running.set(attempt, 0);
    else if (event.type === "progress") {
      const bytes = event.bytesRead + event.bytesWritten;
      this.#runningBytes += bytes - (this.#running.get(attempt) ?? 0);
      this.#running.set(attempt, bytes);
    } else {
      this.#runningBytes -= this.#running.get(attempt) ?? 0;
      this.#running.delete(attempt);
      if (event.type === "finished") {
        this.#finished += event.unit.bytesRead + event.unit.bytesWritten;
        this.#unitsDone += 1;
      }
      if (event.type === "failed") this.#retries += 1;
    }
  }
}
