import { SingleBar } from "cli-progress";
import { formatBytes } from "../../shared/bytes.js";
import type { Progress } from "../job/progress-model.js";
import { formatQuantity } from "../plan/report.js";
import { formatSeconds } from "./duration.js";

/** Where something stands, for people. */
export interface ShownProgress {
  readonly phase: string;
  readonly percent: number;
  readonly text: string;
}

/** Progress on a terminal: a bar on the last line, and above it what is worth a line of its own. */
export class ProgressBar {
  readonly #stream: NodeJS.WriteStream;
  readonly #bar: SingleBar;
  #last: ShownProgress | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.#bar = new SingleBar({
      stream,
      clearOnComplete: true,
      hideCursor: true,
      format: "{phase} [{bar}] {percentage} %  {text}",
      barsize: 28,
    });
  }

  draw(progress: ShownProgress): void {
    if (this.#last === undefined) this.#bar.start(100, 0, { phase: "", text: "" });
    this.#last = progress;
    this.#bar.update(Math.floor(progress.percent), { phase: progress.phase, text: progress.text });
  }

  say(line: string): void {
    if (this.#last !== undefined) this.#stream.write("\r\u001b[K");
    this.#stream.write(`${line}\n`);
    if (this.#last !== undefined) this.draw(this.#last);
  }

  close(): void {
    if (this.#last !== undefined) this.#bar.stop();
    this.#last = undefined;
  }
}

const lineEveryMs = 5_000;

/** Progress in a pipe: a line every few seconds. */
export class ProgressLines {
  readonly #stream: NodeJS.WriteStream;
  #lastLine = performance.now();

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  draw({ phase, percent, text }: ShownProgress): void {
    if (performance.now() - this.#lastLine < lineEveryMs) return;
    this.#lastLine = performance.now();
    this.say(`${phase} ${percent.toFixed(0)} %  ${text}`);
  }

  say(line: string): void {
    this.#stream.write(`${line}\n`);
  }

  close(): void {}
}

/** Of a merge. */
export function showProgress(progress: Progress): ShownProgress {
  return { phase: progress.phase, percent: percentOf(progress), text: formatProgress(progress) };
}

export function percentOf({ done, work }: Pick<Progress, "done" | "work">): number {
  return work === 0 ? 100 : (100 * done) / work;
}

function formatProgress({ done, work, bytesPerSecond, etaSeconds, unitsDone, units, retries }: Progress): string {
  const parts = [
    `${formatBytes(done)} of ${formatBytes(work)}`,
    `${formatBytes(bytesPerSecond)}/s`,
    ...(etaSeconds === undefined ? [] : [`ETA ${formatSeconds(etaSeconds)}`]),
    ...(units === 0 ? [] : [`${unitsDone}/${units} units`]),
    ...(retries > 0 ? [formatQuantity(retries, "failed attempt")] : []),
  ];
  return parts.join("  ");
}
