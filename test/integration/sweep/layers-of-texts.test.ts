import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readLayers } from "../../../coordinator/sweep/layers/read-layers.js";
import { regressLayers } from "../../../coordinator/sweep/search/learning/regress-layers.js";
import type { Space } from "../../../coordinator/sweep/space.js";
import { openTrialRunner } from "../../../coordinator/sweep/trials/runner.js";
import type { SweepSpec } from "../../../coordinator/sweep/types.js";
import { withTempDir } from "../../support/checkpoints.js";
import { agentEntry } from "../../support/merges.js";
import { type ModelKind, writeModel, writeTasks } from "../evaluate/models.js";
import { specOf } from "./made-sweeps.js";

// Layers of models of text, whatever their tasks ask of them: texts of all lengths, each by itself.

let folder: Awaited<ReturnType<typeof withTempDir>>;
let taskFiles: Awaited<ReturnType<typeof writeTasks>>;
beforeAll(async () => {
  folder = await withTempDir();
  taskFiles = await writeTasks(folder.path);
});
afterAll(() => folder[Symbol.asyncDispose]());

const tasksOf: Readonly<Record<ModelKind, readonly string[]>> = {
  classifier: ["labels"],
  encoder: ["pairs", "find"],
  decoder: ["choices", "texts", "prompts"],
};

test.each(Object.keys(tasksOf) as ModelKind[])(
  "the only expert gets itself back, from tasks of every kind: %s",
  async (kind) => {
    const base = await writeModel(folder.path, `${kind} base`, kind);
    const expert = await writeModel(folder.path, `${kind} expert`, kind, { salt: "expert" });
    const space: Space = [
      { kind: "range", name: "weight", low: -3, high: 3, scale: "linear", start: 0.3, model: expert },
    ];
    const made = specOf({
      render: ({ weight = 0.3 }) =>
        `merge_method: task_arithmetic\nbase_model: ${base}\nmodels: [{model: ${expert}, parameters: {weight: ${weight}}}]\ndtype: float32\n`,
      tasks: {
        ...{ file: taskFiles[kind], only: undefined, limit: undefined },
        experts: new Map(tasksOf[kind].map((task) => [task, expert])),
      },
    });
    const spec: SweepSpec = {
      ...{ ...made, space },
      template: {
        ...made.template,
        renderReference: (model) => `merge_method: passthrough\nmodels: [{model: ${model}}]\ndtype: float32\n`,
        models: [base, expert].map((name, i) => ({ name, isBase: i === 0 })),
      },
    };
    await using runner = await openTrialRunner(spec, {
      agents: { kind: "local", count: 1, mode: "thread", entry: agentEntry, slotsEach: 1, memoryBytesEach: 64 << 20 },
      agentWords: ["--eval-threads", "1", "--trial-memory", "64MB"],
      threads: 1,
    });
    const record = join(folder.path, `${kind} sweep`);
    await mkdir(record);
    const signal = new AbortController().signal;
    const { tensors, models } = await readLayers(spec, { runner, folder: record, examples: 2, signal });
    const linear = tensors.filter(({ moments }) => moments.length > 0).map(({ name }) => name);
    expect(linear.length).toBe({ classifier: 14, encoder: 12, decoder: 14 }[kind]);
    for (const { moments } of tensors) expect([0, tasksOf[kind].length]).toContain(moments.length);
    expect(regressLayers(space, { tensors, models }, 0)[0]).toBeCloseTo(1, 9);
  },
);
