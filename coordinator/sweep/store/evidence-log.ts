import { join } from "node:path";
import { formatBytes } from "../../../shared/bytes.js";
import { AmalgamError } from "../../../shared/errors.js";
import { formatCount, quote } from "../../../shared/quote.js";
import type { ExampleRecord } from "../../evaluate/types.js";
import type { TaskAnswers } from "../losses/answer-loss.js";
import type { Segment } from "../types.js";
import {
  type AnswersLine,
  type ExamplesLine,
  type ScoresLine,
  toAnswers,
  toAnswersLine,
  toLines,
  toRecords,
} from "./evidence-line.js";
import { LineLog, maxLineBytes, type Place } from "./line-log.js";

/** Of a line of answers, without them. */
const otherLineBytes = 1_024;

interface Known {
  readonly sets: Map<string, ExamplesLine>;
  /** By segment. */
  readonly scores: Map<string, { readonly place: Place; readonly trial: number }>;
  readonly answered: Map<string, Place>;
}

/** What models made of examples, by segment. Kept in files; only where it lies is kept in memory. */
export class EvidenceLog implements AsyncDisposable {
  readonly #examples: LineLog;
  readonly #answers: LineLog;
  readonly #known: Known;

  private constructor(examples: LineLog, answers: LineLog, known: Known) {
    this.#examples = examples;
    this.#answers = answers;
    this.#known = known;
  }

  static async open(folder: string): Promise<EvidenceLog> {
    const known: Known = { sets: new Map(), scores: new Map(), answered: new Map() };
    const examples = await LineLog.open(join(folder, "examples.jsonl"), (json, place) => {
      const line = JSON.parse(json) as ExamplesLine | ScoresLine;
      if ("ids" in line) known.sets.set(line.set, line);
      // Examples come before the first scores of them: without theirs, scores say nothing.
      else if (known.sets.has(line.set)) known.scores.set(line.segment, { place, trial: line.trial });
    });
    try {
      const answers = await LineLog.open(join(folder, "answers.jsonl"), (json, place) => {
        known.answered.set((JSON.parse(json) as AnswersLine).segment, place);
      });
      return new EvidenceLog(examples, answers, known);
    } catch (reason) {
      await examples[Symbol.asyncDispose]();
      throw reason;
    }
  }

  /** For which trial a segment was run; undefined where it was not. */
  runFor({ key }: Segment): number | undefined {
    return this.#known.scores.get(key)?.trial;
  }

  /** Answers first: where there are scores, all is there. */
  async add(segment: Segment, trial: number, records: readonly ExampleRecord[], answers?: TaskAnswers): Promise<void> {
    if (answers !== undefined) {
      assertFits(segment, answers);
      const place = await this.#answers.append(JSON.stringify(toAnswersLine(segment.key, answers)));
      this.#known.answered.set(segment.key, place);
    }
    const lines = toLines(segment, trial, records);
    const written: Promise<unknown>[] = [];
    if (!this.#known.sets.has(lines.examples.set)) {
      this.#known.sets.set(lines.examples.set, lines.examples);
      written.push(this.#examples.append(JSON.stringify(lines.examples)));
    }
    const scores = this.#examples.append(JSON.stringify(lines.scores));
    await Promise.all([...written, scores]);
    const place = await scores;
    this.#known.scores.set(segment.key, { place, trial });
  }

  /** Of a segment that was run. */
  async records({ key }: Segment): Promise<readonly ExampleRecord[]> {
    const known = this.#known.scores.get(key);
    if (known === undefined) throw new TypeError(`Segment ${key} was not run`);
    const scores = JSON.parse(await this.#examples.line(known.place)) as ScoresLine;
    const examples = this.#known.sets.get(scores.set);
    if (examples === undefined) throw new TypeError(`The examples of segment ${key} are not there`);
    return toRecords(examples, scores);
  }

  /** Undefined where none were kept. */
  async answers({ key }: Segment): Promise<TaskAnswers | undefined> {
    const place = this.#known.answered.get(key);
    return place === undefined ? undefined : toAnswers(JSON.parse(await this.#answers.line(place)) as AnswersLine);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#examples[Symbol.asyncDispose]();
    await this.#answers[Symbol.asyncDispose]();
  }
}

/** Before a line is made of them: what could not be read again must not be written. */
function assertFits({ task, examples }: Segment, { values, width, classes }: TaskAnswers): void {
  const bytes = (4 / 3) * (values.byteLength + (classes?.byteLength ?? 0)) + otherLineBytes;
  if (bytes <= maxLineBytes) return;
  const what = `${formatCount(examples)} answers of ${formatCount(width)} numbers to task ${quote(task)}`;
  const limit = `they take ${formatBytes(bytes)}, more than the limit of ${formatBytes(maxLineBytes)}`;
  throw new AmalgamError("usage", `Cannot keep ${what}: ${limit}; set "limit" or "rungs" under "tasks"`);
}
