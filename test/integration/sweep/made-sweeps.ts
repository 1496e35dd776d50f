import { join } from "node:path";
import type { Point } from "../../../coordinator/sweep/space.js";
import { openTrialRunner, type RunnerOptions } from "../../../coordinator/sweep/trials/runner.js";
import type { SweepSpec, SweepTasks, TrialRun, TrialRunner } from "../../../coordinator/sweep/types.js";
import { agentEntry } from "../../support/merges.js";
import { repositoryPath } from "../../support/repository.js";

// Sweeps over the digits example, without a sweep.yaml: a function from a point to a recipe's text.

export const digits = repositoryPath("examples", "digits");

const experts = ["rotated", "inverted", "mirrored", "sheared", "noisy"];

export interface MadeSweep {
  readonly render?: (point: Point) => string;
  readonly tasks?: Partial<SweepTasks>;
  readonly usesRungs?: boolean;
  readonly seed?: number;
}

export function tiesAt({ weight = 1, density = 0.5 }: Point, used = experts.slice(0, 2)): string {
  const models = used.map((name) => {
    return `  - {model: ${digits}/experts/${name}, parameters: {weight: ${weight}, density: ${density}}}`;
  });
  return `merge_method: ties
base_model: ${digits}/base
models:
${models.join("\n")}
parameters: {normalize: false}
dtype: float32
out_dtype: bfloat16
`;
}

export function specOf({ render = tiesAt, tasks = {}, usesRungs = false, seed = 0 }: MadeSweep = {}): SweepSpec {
  const at = { line: 1, column: 1 };
  return {
    ...{ file: "sweep.yaml", text: "", seed, parallel: 8 },
    template: {
      file: join(digits, "sweep.recipe.yaml"),
      render,
      renderFor: render,
      renderReference: (model) => `merge_method: passthrough\nmodels: [{model: ${digits}/${model}}]\ndtype: bfloat16\n`,
      models: ["base", ...experts.map((name) => `experts/${name}`)].map((name, i) => ({ name, isBase: i === 0 })),
    },
    space: [],
    tasks: {
      ...{ file: join(digits, "tasks.yaml"), only: ["rotated", "inverted"], limit: 40, shuffle: false },
      ...{ holdOut: undefined, rungs: [], experts: new Map() },
      ...tasks,
    },
    objectives: [{ name: "mean", of: "mean", weight: 1, kind: "metric", metric: undefined }],
    constraints: [],
    budget: { trials: 10 },
    search: {
      kind: { name: "made", summary: "", options: {}, rungs: usesRungs, search: noSearch },
      options: {},
      at,
    },
  };
}

// biome-ignore lint/correctness/useYield: nothing is searched, points are chosen by tests.
function* noSearch() {
  return undefined;
}

export interface MadeAgents extends Partial<RunnerOptions> {
  readonly count?: number;
  readonly mode?: "thread" | "process";
}

export function openRunner(sweep: MadeSweep = {}, { count = 1, mode = "thread", ...more }: MadeAgents = {}) {
  return openTrialRunner(specOf(sweep), {
    agents: { kind: "local", count, mode, entry: agentEntry, slotsEach: 1, memoryBytesEach: 64 << 20 },
    agentWords: ["--eval-threads", "1", "--trial-memory", "64MB"],
    threads: 1,
    ...more,
  });
}

/** Plans a recipe and runs it on all segments. */
export async function tryRecipe(
  runner: TrialRunner,
  text: string,
  options: Partial<Parameters<TrialRunner["run"]>[2]> = {},
): Promise<TrialRun> {
  const trial = await runner.plan(text);
  return runner.run(trial, trial.segments, {
    signal: new AbortController().signal,
    answers: false,
    label: "trial",
    ...options,
  });
}
