import { unlessAborted } from "../../shared/unless-aborted.js";
import type { SliceFacts } from "./attempt.js";
import type { EvaluationJournal } from "./journal.js";
import type { Prepared } from "./kinds/context.js";
import { TaskOutputs } from "./outputs.js";
import { resultOf } from "./results/result.js";
import type { Subject } from "./subject.js";
import type { ModelResult, TaskResult } from "./types.js";

/** One model's part of an evaluation: its tasks, the answers to them as they come in, and what these amount to. */
export class Part {
  readonly subject: Subject;
  readonly tasks: readonly Prepared[];
  readonly outputs: readonly TaskOutputs[];
  readonly #results: (TaskResult | undefined)[];
  /** By agent and provider. */
  readonly #facts = new Map<string, SliceFacts>();

  /** `threads`: what the model is run on; answers of other numbers of them are not found in the journal. */
  constructor(
    subject: Subject,
    tasks: readonly Prepared[],
    { journal, threads }: { readonly journal: EvaluationJournal | undefined; readonly threads: number },
  ) {
    this.subject = subject;
    this.tasks = tasks;
    this.outputs = tasks.map((task) => new TaskOutputs(`${subject.digest}/${threads}`, task, journal));
    this.#results = tasks.map(() => undefined);
  }

  get name(): string {
    return this.subject.request.name;
  }

  /** As config.json has it. */
  get family(): string {
    return this.tasks[0]?.graphs.family ?? "";
  }

  get isComplete(): boolean {
    return this.outputs.every(({ isComplete }) => isComplete);
  }

  /** Takes what ran a slice; returns whether it is news. */
  note(facts: SliceFacts): boolean {
    const key = `${facts.agent} ${facts.provider}`;
    const isNew = !this.#facts.has(key);
    this.#facts.set(key, facts);
    return isNew;
  }

  /** Turns answers that are complete into results, each once: records are small, answers need not be. */
  async *score(signal: AbortSignal | undefined): AsyncGenerator<TaskResult, void, void> {
    for (const [i, prepared] of this.tasks.entries()) {
      const answers = this.outputs[i];
      if (this.#results[i] !== undefined || answers?.isComplete !== true) continue;
      // A module of the author's may take for ever.
      const finishing = prepared.finish(answers.take());
      const result = resultOf(prepared, await (signal === undefined ? finishing : unlessAborted(signal, finishing)));
      this.#results[i] = result;
      yield result;
    }
  }

  get result(): ModelResult {
    const { name, path, role } = this.subject.request;
    return {
      ...{ name, role, checkpoint: path, family: this.family },
      tasks: this.#results.filter((result) => result !== undefined),
      providers: [...this.#facts.values()].map(({ agent, provider, fallback }) => ({ agent, provider, fallback })),
      seconds: this.outputs.reduce((total, { seconds }) => total + seconds, 0),
    };
  }
}
