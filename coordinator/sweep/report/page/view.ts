import type { ReportData, ReportScore } from "../data.js";

type Listener = (change: Change) => void;

/** What has changed: only which trial is selected, or more. */
export type Change = "selection" | "all";

/** What the reader looks at: a score, a trial, and the trials that all brushes let through. Plots redraw when it changes. */
export class View {
  readonly data: ReportData;
  /** Places of the score and of the selected trial. */
  score: number;
  selected: number | undefined;
  readonly #brushes = new Map<string, (which: number) => boolean>();
  readonly #listeners: Listener[] = [];
  readonly #clearers: (() => void)[] = [];
  #passes: readonly boolean[];

  constructor(data: ReportData) {
    this.data = data;
    this.score = Math.max(
      0,
      data.scores.findIndex(({ kind }) => kind === "sum"),
    );
    this.#passes = data.trials.number.map(() => true);
  }

  get shown(): ReportScore {
    return this.data.scores[this.score] ?? nothingShown;
  }

  get isFiltered(): boolean {
    return this.#brushes.size > 0;
  }

  get passed(): number {
    return this.#passes.filter(Boolean).length;
  }

  passes(which: number): boolean {
    return this.#passes[which] ?? false;
  }

  /** Trials whose scores can be compared, in order. */
  get compared(): readonly number[] {
    return this.data.trials.comparable.flatMap((is, which) => (is ? [which] : []));
  }

  /** The same, best first by the score that is shown. */
  get best(): readonly number[] {
    const { values, better } = this.shown;
    const sign = better === "lower" ? 1 : -1;
    const { violation } = this.data.trials;
    const loss = (which: number): number => sign * (values[which] ?? -sign * Number.POSITIVE_INFINITY);
    return this.compared.toSorted(
      (a, b) => (violation[a] ?? 0) - (violation[b] ?? 0) || compare(loss(a), loss(b)) || a - b,
    );
  }

  onChange(listener: Listener): void {
    this.#listeners.push(listener);
  }

  select(which: number | undefined): void {
    if (which === this.selected) return;
    this.selected = which;
    this.#tell("selection");
  }

  show(score: number): void {
    this.score = score;
    this.#tell();
  }

  /** Only trials that every brush lets through are in the foreground. No test: this brush is gone. */
  brush(name: string, test: ((which: number) => boolean) | undefined): void {
    if (test === undefined && !this.#brushes.has(name)) return;
    if (test === undefined) this.#brushes.delete(name);
    else this.#brushes.set(name, test);
    const tests = [...this.#brushes.values()];
    this.#passes = this.data.trials.number.map((_, which) => tests.every((one) => one(which)));
    this.#tell();
  }

  /** `listener` takes a brush's rectangle away. */
  onClear(listener: () => void): void {
    this.#clearers.push(listener);
  }

  clearBrushes(): void {
    for (const clearer of this.#clearers) clearer();
    for (const name of [...this.#brushes.keys()]) this.brush(name, undefined);
  }

  #tell(change: Change = "all"): void {
    for (const listener of this.#listeners) listener(change);
  }
}

const nothingShown: ReportScore = {
  name: "",
  kind: "objective",
  better: undefined,
  values: [],
  start: null,
  importance: [],
};

function compare(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
