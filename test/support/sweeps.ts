import { createHash } from "node:crypto";
import { appendFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { meanMetric } from "../../coordinator/evaluate/metrics/mean.js";
import type { ExampleRecord } from "../../coordinator/evaluate/types.js";
import { Random } from "../../coordinator/sweep/search/random.js";
import { type SearchKind, start, wait } from "../../coordinator/sweep/search/searching.js";
import { fromUnit, type Point, type Space } from "../../coordinator/sweep/space.js";
import type {
  PlannedTrial,
  ScoredTask,
  Segment,
  SegmentResult,
  SweepSpec,
  TrialRunner,
} from "../../coordinator/sweep/types.js";
import { AmalgamError } from "../../shared/errors.js";

/** Two weights in [0, 1]; the best merge has 0.7 and 0.2. */
export const twoWeights: Space = ["x", "y"].map((name) => {
  return { kind: "range", name, low: 0, high: 1, scale: "linear", start: 0.5 };
});

/** Rolls points without an end, as many under way as the sweep is wide. */
export const rolling: SearchKind = {
  name: "rolling",
  summary: "random points",
  options: {},
  *search({ space, width, random, rungs }) {
    const numbers = random("points");
    const underWay: number[] = [];
    for (;;) {
      const point = fromUnit(space, [numbers.uniform(), numbers.uniform()]);
      underWay.push(...(yield* start([{ point, rung: rungs.length - 1, label: "rolled" }])));
      if (underWay.length >= width) yield* wait(underWay.splice(0, 1));
    }
  },
};

export interface MadeSpecOptions {
  readonly trials?: number | undefined;
  readonly kind?: SearchKind;
  readonly change?: Partial<SweepSpec>;
}

/** A sweep of {@link twoWeights} over two tasks, with its files in a folder. */
export async function makeSweep(
  folder: string,
  { trials = 20, kind = rolling, change }: MadeSpecOptions = {},
): Promise<SweepSpec> {
  const tasksFile = join(folder, "tasks.yaml");
  await writeFile(tasksFile, "tasks: []\n");
  return {
    file: join(folder, "sweep.yaml"),
    text: "# a sweep\n",
    template: {
      file: join(folder, "sweep.recipe.yaml"),
      render: (point) => JSON.stringify(point),
      renderFor: (point, where) => `${JSON.stringify(point)} # from ${where}\n`,
      renderReference: (model) => JSON.stringify({ model }),
      models: [
        { name: "base", isBase: true },
        { name: "experts/a", isBase: false },
      ],
    },
    space: twoWeights,
    tasks: {
      ...{ file: tasksFile, only: undefined, limit: undefined, shuffle: true, holdOut: 0.25, rungs: [] },
      experts: new Map([["a", "experts/a"]]),
    },
    objectives: [{ name: "mean acc", of: "mean", weight: 1, kind: "metric", metric: "acc" }],
    constraints: [],
    budget: trials === undefined ? {} : { trials },
    search: { kind, options: {}, at: { line: 1, column: 1 } },
    seed: 7,
    parallel: 4,
    ...change,
  };
}

export interface MadeRunnerOptions {
  /** Trials at once. @default 2 */
  readonly slots?: number;
  /** So many of the first trials end only when all of them have begun. @default 0 */
  readonly together?: number;
  /** Longest time of a trial, in milliseconds; how long each takes is rolled from `seed`. @default 0 */
  readonly longestMs?: number;
  readonly seed?: number;
  /** Each segment's key is added to this file when its run begins. */
  readonly log?: string;
  readonly rungs?: readonly number[];
  readonly heldOut?: number;
  /** Why a point fails; undefined: it does not. */
  readonly fails?: (point: Point) => AmalgamError | undefined;
  /** The same for its plan. */
  readonly refuses?: (point: Point) => AmalgamError | undefined;
  /** Something of the models that scores depend on. */
  readonly salt?: string;
  readonly agents?: readonly string[];
}

/** How right a merge is about an example: the nearer to (0.7, 0.2), the more of them. */
function accuracyOf(point: Point): number {
  const [x, y] = [Number(point["x"] ?? 0), Number(point["y"] ?? 0)];
  return 1 - ((x - 0.7) ** 2 + (y - 0.2) ** 2);
}

/** A runner without agents: what it finds out about a point is made up, and is the same each time. */
export class MadeRunner implements TrialRunner {
  readonly #options: MadeRunnerOptions;
  readonly #random: Random;
  readonly #waiting: (() => void)[] = [];
  #begun = 0;
  #allBegan: () => void = () => undefined;
  readonly #together = new Promise<void>((resolve) => {
    this.#allBegan = resolve;
  });
  #free: number;
  readonly tasks: readonly ScoredTask[];
  readonly threads = 1;
  readonly agents: readonly string[];
  /** Keys of the segments that were run, as they began. */
  readonly ran: string[] = [];
  planned = 0;
  mostAtOnce = 0;

  constructor(options: MadeRunnerOptions = {}) {
    this.#options = options;
    this.#random = new Random(options.seed ?? 0, "times");
    this.#free = options.slots ?? 2;
    this.agents = options.agents ?? ["made"];
    const { rungs = [40], heldOut = 20 } = options;
    this.tasks = ["a", "b"].map((name) => {
      return { name, kind: "classification", metric: "acc", metricSettings: {}, rungs, heldOut };
    });
  }

  async plan(text: string): Promise<PlannedTrial> {
    this.planned += 1;
    const point = JSON.parse(text) as Point;
    const refusal = this.#options.refuses?.(point);
    if (refusal !== undefined) throw refusal;
    const weights = digestOf(text, this.#options.salt);
    const segments = this.tasks.flatMap(({ name, rungs, heldOut }) =>
      ([...rungs.keys(), "held out"] as const).flatMap((part): Segment[] => {
        const examples = part === "held out" ? heldOut : (rungs[part] ?? 0) - (rungs[part - 1] ?? 0);
        return examples === 0 ? [] : [{ task: name, part, examples, key: digestOf(weights, name, part) }];
      }),
    );
    return { weights, segments, warnings: [], text } as PlannedTrial;
  }

  async run(trial: PlannedTrial, segments: readonly Segment[], options: Parameters<TrialRunner["run"]>[2]) {
    await this.#slot(options.signal);
    try {
      const slots = this.#options.slots ?? 2;
      this.mostAtOnce = Math.max(this.mostAtOnce, slots - this.#free);
      for (const { key } of segments) this.ran.push(key);
      if (this.#options.log !== undefined)
        await appendFile(this.#options.log, segments.map(({ key }) => `${key}\n`).join(""));
      this.#begun += 1;
      if (this.#begun >= (this.#options.together ?? 0)) this.#allBegan();
      await this.#together;
      await sleep(this.#random.uniform() * (this.#options.longestMs ?? 0), undefined, { signal: options.signal });
      const point = JSON.parse((trial as PlannedTrial & { readonly text: string }).text) as Point;
      const failure = this.#options.fails?.(point);
      if (failure !== undefined) throw failure;
      const seconds = { plan: 0, wait: 0, read: 0, merge: 0, load: 0, run: 0 };
      const facts = { agent: "made", provider: "cpu", attempts: 1, seconds, peakBytes: 1, budgetBytes: 2 };
      return { segments: segments.map((segment) => resultOf(point, segment)), facts };
    } finally {
      this.#free += 1;
      this.#waiting.shift()?.();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #slot(signal: AbortSignal): Promise<void> {
    while (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#free -= 1;
    if (signal.aborted) {
      this.#free += 1;
      this.#waiting.shift()?.();
      throw AmalgamError.from(signal.reason);
    }
  }
}

function resultOf(point: Point, segment: Segment): SegmentResult {
  const { task, part, examples } = segment;
  const luck = new Random(0, `${task} ${part}`);
  const records = Array.from({ length: examples }, (_, i): ExampleRecord => {
    const acc = luck.uniform() < accuracyOf(point) ? 1 : 0;
    return { id: `${part}-${i}`, scores: { acc, logprob: acc - 1.5, entropy: 0.1 }, prediction: acc, answer: 1 };
  });
  return { segment, records };
}

/** The accuracy that a made runner finds, over the examples of one part of one task. */
export function madeAccuracy(point: Point, task: string, part: Segment["part"], examples: number): number {
  return meanMetric("acc").of(resultOf(point, { task, part, examples, key: "" }).records);
}

function digestOf(...parts: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}
