import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { Matrix as Dense, solve } from "ml-matrix";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildGraphs } from "../../../coordinator/graphs/families.js";
import { readTaps } from "../../../coordinator/graphs/taps.js";
import { readLayers } from "../../../coordinator/sweep/layers/read-layers.js";
import { layerRegression } from "../../../coordinator/sweep/search/learning/layer-regression.js";
import { regressLayers } from "../../../coordinator/sweep/search/learning/regress-layers.js";
import { Random } from "../../../coordinator/sweep/search/random.js";
import type { Point, Space } from "../../../coordinator/sweep/space.js";
import type { SweepSpec, TrialRunner } from "../../../coordinator/sweep/types.js";
import { parseConfig } from "../../../shared/checkpoint/config.js";
import { toNumbers } from "../../../shared/checkpoint/numbers.js";
import { type Checkpoint, openCheckpoint } from "../../../shared/checkpoint/open.js";
import { withTempDir } from "../../support/checkpoints.js";
import { runGraph } from "../../support/run-graph.js";
import { digits, openRunner, specOf } from "./made-sweeps.js";

// The closed form on real models: the digits' experts, one agent, and the same by hand.

const experts = ["rotated", "inverted"];
const query = "vit.encoder.layer.2.attention.attention.query";
/** The layer's matrix, its bias, and all else. */
const groups = [`${query}.weight`, `${query}.bias`, "other"];
const examples = 2;

const space: Space = experts.flatMap((model) =>
  groups.map((group) => {
    const of = { model: `${digits}/experts/${model}`, group, name: `${model} ${group}` };
    return { kind: "range", low: -2, high: 2, scale: "linear", start: 0.3, ...of } as const;
  }),
);

function render(point: Point): string {
  const models = experts.map((model) => {
    const weightOf = (group: string) => point[`${model} ${group}`];
    const named = groups.slice(0, 2).map((group) => `{filter: ${group}, value: ${weightOf(group)}}`);
    return `  - {model: ${digits}/experts/${model}, parameters: {weight: [${named.join(", ")}, {value: ${weightOf("other")}}]}}`;
  });
  return `merge_method: task_arithmetic
base_model: ${digits}/base
models:
${models.join("\n")}
dtype: float32
`;
}

const tasks = { experts: new Map(experts.map((name) => [name, `${digits}/experts/${name}`])), holdOut: 0.5 };
const made = specOf({ render, tasks });
const spec: SweepSpec = {
  ...{ ...made, space },
  template: {
    ...made.template,
    renderReference: (model) => `merge_method: passthrough\nmodels: [{model: ${model}}]\ndtype: bfloat16\n`,
    models: ["base", "experts/rotated", "experts/inverted"].map((name, i) => ({
      name: `${digits}/${name}`,
      isBase: i === 0,
    })),
  },
};

let folder: Awaited<ReturnType<typeof withTempDir>>;
let runner: TrialRunner;
beforeAll(async () => {
  folder = await withTempDir();
  runner = await openRunner({ render: () => render(startOfAll()), tasks });
});
afterAll(async () => {
  await runner[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

function startOfAll(): Point {
  return Object.fromEntries(space.map(({ name }) => [name, 0.3]));
}

test("the coefficients of a layer are those by which its outputs come nearest to the experts' own", async () => {
  const signal = new AbortController().signal;
  const layers = await readLayers(spec, { runner, folder: folder.path, examples, signal });
  const solved = regressLayers(space, layers, 0);
  const found = new Map(space.map(({ name }, i) => [name, solved[i] ?? Number.NaN]));

  const base = await openCheckpoint(join(digits, "base"));
  const models = await Promise.all(experts.map((name) => openCheckpoint(join(digits, "experts", name))));
  const name = `${query}.weight`;
  const origin = await numbersOf(base, name);
  const taskVectors = await Promise.all(
    models.map(async (model) => (await numbersOf(model, name)).map((value, i) => value - (origin[i] ?? 0))),
  );
  const rows: number[][] = [];
  const targets: number[] = [];
  for (const [k, expert] of experts.entries()) {
    const inputs = await inputsOf(expert);
    const outputs = taskVectors.map((vector) => inputs.flatMap((x) => times(vector, x)));
    const length = Math.sqrt((outputs[k] ?? []).reduce((sum, value) => sum + value ** 2, 0));
    for (const [at, target] of (outputs[k] ?? []).entries()) {
      rows.push(outputs.map((output) => (output[at] ?? 0) / length));
      targets.push(target / length);
    }
  }
  const expected = solve(new Dense(rows), Dense.columnVector(targets)).to1DArray();
  for (const [i, expert] of experts.entries()) {
    expect(found.get(`${expert} ${name}`)).toBeCloseTo(expected[i] ?? 0, 6);
    expect(Math.abs((expected[i] ?? 0) - 0.5)).toBeLessThan(0.5);
  }
  // The bias goes with its block: what is left of it is solved together with all other layers.
  const other = found.get("rotated other") ?? 0;
  const own = found.get(`rotated ${name}`) ?? 0;
  expect(found.get(`rotated ${query}.bias`)).toBeCloseTo((own + 5 * other) / 6, 6);
});

test("what was found out is kept: a sweep that goes on asks no model again, unless its record is damaged", async () => {
  const options = { folder: folder.path, examples, signal: new AbortController().signal };
  const blind: TrialRunner = {
    ...runner,
    tasks: runner.tasks,
    agents: [],
    plan: runner.plan,
    tap: () => Promise.reject(new Error("asked")),
  };
  const first = await readLayers(spec, { ...options, runner });
  expect(await readLayers(spec, { ...options, runner: blind })).toEqual(first);
  await expect(readLayers(spec, { ...options, runner: blind, examples: examples + 1 })).rejects.toThrow("asked");
  const record = join(folder.path, "layers.json");
  expect(JSON.parse(await readFile(record, "utf8"))).toMatchObject({ key: expect.stringMatching(/^[0-9a-f]{64}$/) });
  await rm(record);
  expect(await readLayers(spec, { ...options, runner })).toEqual(first);
});

test("a search evaluates multiples from 1 to the number of experts, and where the recipe starts", async () => {
  const signal = new AbortController().signal;
  const layers = await readLayers(spec, { runner, folder: folder.path, examples, signal });
  const notes: string[] = [];
  const context = {
    ...{ space, objectives: 1, width: 8, rungs: [20], experts: tasks.experts, layers },
    random: (stream: string) => new Random(0, stream),
    note: (message: string) => notes.push(message),
  };
  const search = layerRegression.search(context, { examples, gamma: 0.01, multiples: 3 });
  const step = search.next().value;
  if (step === undefined || !("kind" in step) || step.kind !== "start") throw new Error("It starts nothing");
  expect(step.requests.map(({ label }) => label)).toEqual([
    "regression × 1",
    "regression × 1.41",
    "regression × 2",
    "start",
  ]);
  const solved = regressLayers(space, layers, 0.01);
  const first = space[0]?.name ?? "";
  expect(step.requests.map(({ point }) => Number(point[first]))).toEqual(
    [1, Math.SQRT2, 2].map((factor) => expect.closeTo(factor * (solved[0] ?? 0), 9)).concat([0.3]),
  );
  expect(notes).toEqual([]);
});

async function numbersOf(checkpoint: Checkpoint, name: string): Promise<number[]> {
  const tensor = checkpoint.tensors.get(name);
  const file = checkpoint.files[tensor?.file ?? 0];
  if (tensor === undefined || file === undefined || tensor.dtype !== "BF16") throw new Error(`No ${name}`);
  const bytes = await readFile(file.path);
  return Array.from(
    toNumbers(tensor.dtype, new Uint8Array(bytes.subarray(tensor.offset, tensor.offset + tensor.bytes))),
  );
}

/** What the layer is given for the expert's first examples, a row for each token. */
async function inputsOf(expert: string): Promise<readonly (readonly number[])[]> {
  const path = join(digits, "experts", expert);
  const { tensors, configText } = await openCheckpoint(path);
  const configFile = join(path, "config.json");
  const config = parseConfig(Buffer.from(configText ?? ""), configFile);
  const { graphs, taps = [] } = buildGraphs({ config, tensors, configFile, taps: true });
  const data = await openCheckpoint(join(digits, "eval", `${expert}.safetensors`));
  const pixels = data.tensors.get("pixel_values");
  const bytes = await readFile(data.files[0]?.path ?? "");
  const place = taps.findIndex(({ layers }) => layers.some(({ weight }) => weight === `${query}.weight`));
  const rows: number[][] = [];
  const [, ...shape] = pixels?.shape ?? [];
  const size = shape.reduce((product, side) => product * side, 1);
  for (let example = 0; example < examples; example++) {
    if (pixels?.dtype !== "F32") throw new Error(`Pixels are ${pixels?.dtype}`);
    const begin = pixels.offset + 4 * size * example;
    const values = Float32Array.from(toNumbers("F32", new Uint8Array(bytes.subarray(begin, begin + 4 * size))));
    const feeds = { pixel_values: { type: "F32", shape: [1, ...shape], values } } as const;
    const { taps: output } = await runGraph(graphs.body?.model ?? new Uint8Array(), path, feeds);
    const found = readTaps(taps, Float32Array.from(output?.values ?? [], Number))[place] ?? new Float32Array();
    const width = taps[place]?.width ?? 1;
    for (let at = 0; at < found.length; at += width) rows.push(Array.from(found.subarray(at, at + width)));
  }
  return rows;
}

function times(matrix: readonly number[], x: readonly number[]): number[] {
  return Array.from({ length: matrix.length / x.length }, (_, row) =>
    x.reduce((sum, value, k) => sum + value * (matrix[row * x.length + k] ?? 0), 0),
  );
}
