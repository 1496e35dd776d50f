import { type Gatherer, segmentsOf } from "./gather.js";
import type { PlannedTrial, Segment, SegmentPart, SweepSpec, TrialRunner } from "./types.js";

/** The experts that losses compare answers with. What they answer is run once for each segment, and counts for no trial. */
export class Teachers {
  readonly #spec: Pick<SweepSpec, "template" | "tasks">;
  readonly #runner: TrialRunner;
  readonly #gatherer: Gatherer;
  readonly #isNeeded: boolean;
  /** By model. */
  readonly #planned = new Map<string, PlannedTrial>();

  constructor(
    spec: Pick<SweepSpec, "template" | "tasks">,
    {
      runner,
      gatherer,
      isNeeded,
    }: { readonly runner: TrialRunner; readonly gatherer: Gatherer; readonly isNeeded: boolean },
  ) {
    this.#spec = spec;
    this.#runner = runner;
    this.#gatherer = gatherer;
    this.#isNeeded = isNeeded;
  }

  /** Has run what is not on record. Returns when it is under way; `complete` resolves when the answers are there. */
  async begin(part: SegmentPart, signal: AbortSignal): Promise<{ readonly complete: Promise<unknown> }> {
    if (!this.#isNeeded) return { complete: Promise.resolve() };
    for (const model of new Set(this.#spec.tasks.experts.values())) await this.#plan(model);
    const gatherings = [...this.#spec.tasks.experts].map(([task, model]) => {
      const planned = this.#planned.get(model) as PlannedTrial;
      const segments = this.segments(task, part);
      return this.#gatherer.gather({ planned, segments, trial: 0, label: `expert of ${task}`, signal }).complete;
    });
    const complete = Promise.all(gatherings);
    complete.catch(() => undefined);
    return { complete };
  }

  /** Of a task's expert. */
  segments(task: string, part: SegmentPart): readonly Segment[] {
    const planned = this.#planned.get(this.#spec.tasks.experts.get(task) ?? "");
    return planned === undefined ? [] : segmentsOf(planned, part).filter((segment) => segment.task === task);
  }

  async #plan(model: string): Promise<void> {
    if (this.#planned.has(model)) return;
    this.#planned.set(model, await this.#runner.plan(this.#spec.template.renderReference(model)));
  }
}
