import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ExampleRecord } from "../../coordinator/evaluate/types.js";
import { Random } from "../../coordinator/sweep/search/random.js";
import { fromUnit } from "../../coordinator/sweep/space.js";
import { readSweep } from "../../coordinator/sweep/spec/read.js";
import { newState, partsOf } from "../../coordinator/sweep/store/state.js";
import { SweepStore } from "../../coordinator/sweep/store/store.js";
import type { Segment, TrialRecord } from "../../coordinator/sweep/types.js";
import { repositoryPath } from "./repository.js";

/** Texts that would do something if a page or a script took them for its own. */
export const hostile = {
  element: `<img src="https://example.com/x.png" onerror="document.title='broken'">`,
  script: `</script><script>document.title='broken'</script><!--`,
  quotes: `"'\`\${document.title='broken'}\\u2028\u2028`,
} as const;

const digits = repositoryPath("examples", "digits");

/** The sweep file: two weights, a density on steps and a choice whose names are out to do harm. */
const sweepText = `
recipe:
  merge_method: {choices: [ties, dare_ties], name: ${JSON.stringify(hostile.script)}}
  base_model: ${digits}/base
  models:
    - {model: ${digits}/experts/rotated, parameters: {weight: {range: [0, 1.5], start: 1}, density: $density}}
    - {model: ${digits}/experts/noisy, parameters: {weight: {range: [0, 1.5], start: 1}, density: $density}}
  dtype: float32
parameters:
  density: {range: [0.1, 0.9], step: 0.1, start: 0.5}
tasks: {file: ${digits}/tasks.yaml, only: [rotated, noisy], limit: 20}
objectives: [rotated, noisy]
budget: {trials: 1000}
search: random
`;

export interface MadeReportOptions {
  readonly trials: number;
  /** Numbers of the trials that failed. */
  readonly failed?: readonly number[];
}

/**
 * A folder as a sweep leaves it, with trials whose scores are made up: more of one expert's weight is better for its own task
 * and worse for the other, so that there is a front.
 */
export async function makeSweepFolder(
  folder: string,
  { trials, failed = [] }: MadeReportOptions,
): Promise<readonly TrialRecord[]> {
  const file = join(folder, "sweep.yaml");
  await writeFile(file, sweepText);
  const spec = await readSweep(file);
  const state = newState(spec, { amalgam: "0.0.0", parts: partsOf(spec, []), threads: 1 });
  await using store = await SweepStore.open(join(folder, "out"), state, spec.text);
  const random = new Random(7, "report");
  const records: TrialRecord[] = [];
  for (let trial = 1; trial <= trials; trial += 1) {
    const point = fromUnit(
      spec.space,
      spec.space.map(() => random.uniform()),
    );
    const [a = 0, b = 0] = ["rotated weight", "noisy weight"].map((name) => Number(point[name]));
    const scores = [0.4 + 0.4 * a - 0.1 * a * a - 0.2 * b, 0.4 + 0.3 * b - 0.25 * a].map(
      (score) => score + 0.02 * random.normal(),
    );
    const record = recordOf(trial, point, failed.includes(trial) ? undefined : scores);
    for (const segment of record.segments) await store.addEvidence(segment, trial, examplesOf(segment, random));
    await store.addTrial(record);
    records.push(record);
  }
  return records;
}

function recordOf(trial: number, point: TrialRecord["point"], scores: readonly number[] | undefined): TrialRecord {
  const [first = Number.NaN, second = Number.NaN] = scores ?? [];
  const names = ["rotated acc", `noisy ${hostile.element}`];
  const isFirst = trial <= 30;
  return {
    ...{
      trial,
      point,
      rung: 0,
      key: String(trial),
      status: scores === undefined ? "failed" : "done",
      weights: `w${trial}`,
    },
    ...(trial === 2 ? { label: hostile.quotes } : {}),
    ...(scores === undefined ? { failure: { code: "out_of_memory", message: hostile.script } } : {}),
    objectives: scores === undefined ? {} : { [names[0] ?? ""]: first, [names[1] ?? ""]: second },
    losses: [-first, -second],
    ...{ loss: -first - second, violation: 0 },
    metrics: scores === undefined ? {} : { rotated: { acc: first }, [hostile.element]: { acc: second } },
    ...{ examples: 20, fresh: 20, startedAt: "2026-01-02T03:04:05.678Z", seconds: 1.5 },
    segments:
      isFirst && scores !== undefined ? [{ task: "rotated", part: 0, examples: 20, key: `segment ${trial}` }] : [],
    facts: {
      ...{
        agent: trial % 2 === 0 ? hostile.element : "one",
        provider: "cpu",
        attempts: 1,
        peakBytes: 2 ** 33,
        budgetBytes: 2 ** 34,
      },
      seconds: { plan: 0.1, wait: 0.2, read: 0.1, merge: 0.5, load: 0.2, run: 0.4 },
    },
  };
}

function examplesOf({ examples }: Segment, random: Random): readonly ExampleRecord[] {
  return Array.from({ length: examples }, (_, i) => {
    const acc = random.uniform() < i / examples ? 1 : 0;
    return { id: i === 0 ? hostile.script : String(i), scores: { acc }, prediction: acc, answer: hostile.element };
  });
}
