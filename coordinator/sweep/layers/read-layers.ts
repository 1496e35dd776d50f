import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { AmalgamError } from "../../../shared/errors.js";
import { type Matrix, transpose } from "../../../shared/linalg/matrix.js";
import { quote } from "../../../shared/quote.js";
import { readTaps } from "../../graphs/taps.js";
import type { Plan, PlannedInput } from "../../plan/types.js";
import { startPoint } from "../space.js";
import { replaceFile } from "../store/state.js";
import { sweepFiles } from "../store/store.js";
import { RecipePlanner } from "../trials/recipe-planner.js";
import type { PlannedTrial, SweepSpec, TappedExamples, TrialRunner } from "../types.js";
import { readCoefficients } from "./coefficients.js";
import { layerProducts } from "./moments.js";
import { taskVectorsIn } from "./task-vectors-in.js";
import type { LayerMoments, RecipeLayers } from "./types.js";

export interface ReadLayersOptions {
  readonly runner: TrialRunner;
  /** The sweep's, where what was found out is kept: a sweep that goes on must take the course that it took. */
  readonly folder: string;
  /** Of each task, so many of the first that it searches by. */
  readonly examples: number;
  readonly signal: AbortSignal;
}

/** What is kept in the sweep's folder. */
interface Kept {
  /** Of models, examples and graphs. */
  readonly key: string;
  readonly moments: Readonly<Record<string, readonly LayerMoments[]>>;
}

/** The layers of a sweep's recipe; undefined where its search does not ask for them. */
export async function layersOf(
  spec: SweepSpec,
  options: Omit<ReadLayersOptions, "examples">,
): Promise<RecipeLayers | undefined> {
  const { kind, options: chosen } = spec.search;
  if (kind.layers?.(chosen) !== true) return undefined;
  return readLayers(spec, { ...options, examples: Number(chosen["examples"]) });
}

/**
 * Runs each task's expert on a few of its examples, and works out what the task vectors of every linear layer make of the
 * inputs that it had there. Fails with `usage` for a recipe that is not a sum of task vectors, and with
 * `checkpoint_mismatch` for models whose layers cannot be looked at.
 */
export async function readLayers(spec: SweepSpec, options: ReadLayersOptions): Promise<RecipeLayers> {
  const { template, space, tasks } = spec;
  const planner = new RecipePlanner(template.file, template.otherPath);
  const planOf = async (text: string): Promise<Plan> => (await planner.plan(text)).plan;
  const { plan, weights } = await planner.plan(template.render(startPoint(space)));
  const { models, tensors } = await readCoefficients(space, (point) => planOf(template.render(point)));
  const lessons: Lesson[] = [];
  for (const [task, name] of tasks.experts) {
    const text = template.renderReference(name);
    const planned = await options.runner.plan(text);
    const model = plan.models.findIndex((one) => one.name === name && !one.isBase);
    if (model < 0 || !planned.segments.some((segment) => segment.task === task)) continue;
    assertSameLayers(plan, model, await planOf(text));
    lessons.push({ task, model, expert: models.indexOf(name), planned });
  }
  const moments = await kept(keyOf(weights, lessons, options.examples), options.folder, () =>
    gather(plan, lessons, options),
  );
  return { models, tensors: tensors.map((tensor) => ({ ...tensor, moments: moments[tensor.name] ?? [] })) };
}

/** A task and its expert. */
interface Lesson {
  readonly task: string;
  /** Into the plan's models, and into those that are not the base. */
  readonly model: number;
  readonly expert: number;
  readonly planned: PlannedTrial;
}

/** The expert by itself must have its layers where the merge has them. */
function assertSameLayers(plan: Plan, model: number, reference: Plan): void {
  const stored = ({ sources }: Plan, input: PlannedInput): string => `${sources[input.source]?.path} ${input.offset}`;
  const own = new Map(reference.tensors.map(({ name, inputs: [input] }) => [name, input && stored(reference, input)]));
  for (const { name, inputs } of plan.tensors) {
    const input = inputs.find((one) => one.model === model);
    if (input === undefined || own.get(name) === stored(plan, input)) continue;
    const expert = quote(plan.models[model]?.name ?? "");
    const problem = `${quote(name)} is another one of ${expert} than what that has under this name`;
    throw new AmalgamError("usage", `Cannot compare layers with an expert's: ${problem}; leave out "slices"`);
  }
}

async function gather(
  plan: Plan,
  lessons: readonly Lesson[],
  { runner, examples, signal }: ReadLayersOptions,
): Promise<Kept["moments"]> {
  const seen = await Promise.all(
    lessons.map(async ({ task, model, expert, planned }) => {
      if (runner.tap === undefined) throw new RangeError("The runner cannot look at the inputs of layers");
      const label = `layers of ${quote(plan.models[model]?.name ?? "")} on ${quote(task)}`;
      return { expert, layers: byWeight(await runner.tap(planned, { task, examples, signal, label })) };
    }),
  );
  const experts = plan.models.flatMap(({ isBase }, model) => (isBase ? [] : [model]));
  const moments: Record<string, readonly LayerMoments[]> = {};
  for (const tensor of plan.tensors) {
    const inputs = seen.flatMap(({ expert, layers }) => {
      const layer = layers.get(tensor.name);
      return layer === undefined ? [] : [{ expert, ...layer }];
    });
    if (inputs.length === 0) continue;
    const vectors = await taskVectorsIn(plan, tensor, experts);
    const found: LayerMoments[] = [];
    for (const { expert, width, transposed, rows } of inputs) {
      // Layers of a large model take seconds, in which agents want to be heard.
      await turn();
      signal.throwIfAborted();
      const matrices = vectors.map((data) => asRows(data, width, transposed));
      found.push({ expert, products: layerProducts(joined(rows, width), matrices) });
    }
    moments[tensor.name] = found;
  }
  return moments;
}

interface LayerInputs {
  readonly width: number;
  readonly transposed: boolean;
  /** Of one example each. */
  readonly rows: readonly Float32Array[];
}

function byWeight({ taps, examples }: TappedExamples): ReadonlyMap<string, LayerInputs> {
  const read = examples.map((numbers) => readTaps(taps, numbers));
  return new Map(
    taps.flatMap(({ width, layers }, i) => {
      const rows = read.map((one) => one[i] ?? new Float32Array());
      return layers.map(({ weight, transposed }) => [weight, { width, transposed, rows }] as const);
    }),
  );
}

/** As [out × in]. */
function asRows(data: Float64Array, width: number, transposed: boolean): Matrix {
  const other = data.length / width;
  return transposed ? transpose({ rows: width, columns: other, data }) : { rows: other, columns: width, data };
}

function joined(rows: readonly Float32Array[], width: number): Matrix {
  const data = new Float64Array(rows.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const one of rows) {
    data.set(one, at);
    at += one.length;
  }
  return { rows: data.length / width, columns: width, data };
}

function keyOf(start: string, lessons: readonly Lesson[], examples: number): string {
  const parts = lessons.map(({ task, expert, planned: { weights, segments } }) => {
    return [task, expert, weights, segments.filter((segment) => segment.task === task).map(({ key }) => key)];
  });
  return createHash("sha256")
    .update(JSON.stringify([examples, start, parts]))
    .digest("hex");
}

async function kept(key: string, folder: string, gatherAll: () => Promise<Kept["moments"]>): Promise<Kept["moments"]> {
  const path = join(folder, sweepFiles.layers);
  const before = await readFile(path, "utf8").then(parse, () => undefined);
  if (before?.key === key) return before.moments;
  const moments = await gatherAll();
  await replaceFile(path, `${JSON.stringify({ key, moments } satisfies Kept)}\n`);
  return moments;
}

/** Undefined for what is damaged: it is made again. */
function parse(text: string): Kept | undefined {
  try {
    return JSON.parse(text) as Kept;
  } catch {
    return undefined;
  }
}
