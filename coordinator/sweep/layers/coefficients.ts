import { AmalgamError } from "../../../shared/errors.js";
import { interpret } from "../../../shared/expression/interpret.js";
import { quote } from "../../../shared/quote.js";
import type { Plan, PlannedTensor } from "../../plan/types.js";
import { type Dimension, type Point, type Space, valueAt } from "../space.js";
import type { Coefficient, LayerTensor, RecipeLayers } from "./types.js";

type Coefficients = Omit<RecipeLayers, "tensors"> & {
  readonly tensors: readonly Pick<LayerTensor, "name" | "coefficients">[];
};

/**
 * How the tensors of a recipe's merge are put together from task vectors. Nothing is known of methods: the programs of two
 * plans are run on a few made-up numbers, which shows what multiplies each model, and that nothing else happens to it.
 * Fails with `usage` where a tensor is not a sum of task vectors, each times a dimension or a constant.
 */
export async function readCoefficients(space: Space, planAt: (point: Point) => Promise<Plan>): Promise<Coefficients> {
  const points = [0, 1].map((shift) => probePoint(space, shift));
  const [first, second] = await Promise.all(points.map(planAt));
  if (first === undefined || second === undefined) return { models: [], tensors: [] };
  const experts = first.models.flatMap(({ isBase }, i) => (isBase ? [] : [i]));
  const multipliers = new Map<string, readonly number[]>();
  const tensors = first.tensors.flatMap((tensor, at) => {
    const other = second.tensors[at];
    if (other === undefined || !tensor.inputs.some(({ model }) => experts.includes(model))) return [];
    const [here, there] = [
      multipliersOf(first, tensor, experts, multipliers),
      multipliersOf(second, other, experts, multipliers),
    ];
    const coefficients = experts.map((model, i): Coefficient => {
      const seen: Seen = { values: [here[i] ?? 0, there[i] ?? 0], parameters: tensor.parameters, points };
      const found = coefficientOf(space, first.models[model]?.name ?? "", seen);
      if (found !== undefined) return found;
      throw notASum(
        tensor.name,
        `what multiplies ${quote(first.models[model]?.name ?? "")} is not one of the parameters`,
      );
    });
    return [{ name: tensor.name, coefficients }];
  });
  return { models: experts.map((model) => first.models[model]?.name ?? ""), tensors };
}

/** Each dimension at a value that no other one has. */
function probePoint(space: Space, shift: number): Point {
  const golden = (Math.sqrt(5) - 1) / 2;
  return Object.fromEntries(
    space.map((dimension, i) => [dimension.name, valueAt(dimension, 0.1 + 0.8 * ((golden * (2 * i + 1 + shift)) % 1))]),
  );
}

interface Seen {
  /** What multiplies the model at both points. */
  readonly values: readonly [number, number];
  /** Of the tensor, at the first point. */
  readonly parameters: readonly number[];
  readonly points: readonly Point[];
}

function coefficientOf(space: Space, model: string, { values, parameters, points }: Seen): Coefficient | undefined {
  const [here, there] = values;
  if (isClose(here, there)) return { factor: here };
  const found = space.find((dimension) => {
    const [first, second] = points.map((point) => Number(point[dimension.name]));
    if (!isOf(dimension, model) || first === undefined || second === undefined) return false;
    return parameters.includes(first) && isClose(here * second, there * first);
  });
  return found === undefined ? undefined : { dimension: found.name, factor: here / Number(points[0]?.[found.name]) };
}

function isOf(dimension: Dimension, model: string): boolean {
  return dimension.model === undefined || dimension.model === model;
}

/** Numbers of both signs and several sizes, so that a method that trims or elects gives itself away. */
const numbers = [0.5, -1, 2, -0.25, 1.5, -3, 0.125, 4];

/** What multiplies each model's task vector in a tensor; 0 for one that has no part in it. */
function multipliersOf(
  plan: Plan,
  { name, program: number, parameters, inputs }: PlannedTensor,
  experts: readonly number[],
  known: Map<string, readonly number[]>,
): readonly number[] {
  const program = plan.programs[number];
  const key = JSON.stringify([number, parameters, inputs.map(({ model }) => model)]);
  const before = known.get(key);
  if (before !== undefined) return before;
  if (program === undefined) throw new RangeError(`No program ${number}`);
  if (program.nodes.some(({ op }) => op === "uniform")) throw notASum(name, "its method draws at random");
  const run = (vectorOf: (model: number) => Float32Array): Float64Array =>
    interpret(program, { inputs: inputs.map(({ model }) => vectorOf(model)), parameters }, "f64");
  // Each model has numbers of its own, so that signs differ.
  const vectors = new Map(experts.map((model, i) => [model, Float32Array.from(numbers, (_, k) => turned(k + 3 * i))]));
  const nothing = new Float32Array(numbers.length);
  const alone = experts.map((expert) => run((model) => (model === expert ? vectors.get(model) : undefined) ?? nothing));
  const multipliers = alone.map((output, i) => (output[0] ?? 0) / turned(3 * i));
  const areMultiples = alone.every((output, i) =>
    output.every((value, k) => isClose(value, (multipliers[i] ?? 0) * turned(k + 3 * i))),
  );
  const together = run((model) => vectors.get(model) ?? nothing);
  const isSum = together.every((value, k) =>
    isClose(
      value,
      alone.reduce((total, output) => total + (output[k] ?? 0), 0),
    ),
  );
  if (!areMultiples || !isSum) throw notASum(name, "its method does more than add");
  const same = run(() => Float32Array.from(numbers));
  if (!same.every((value, k) => isClose(value, turned(k)))) throw notASum(name, "it is not added to the base");
  known.set(key, multipliers);
  return multipliers;
}

function turned(place: number): number {
  return numbers[place % numbers.length] ?? 0;
}

function isClose(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-6 * Math.max(1e-6, Math.abs(a), Math.abs(b));
}

function notASum(tensor: string, problem: string): AmalgamError {
  const remedy = 'use "merge_method: task_arithmetic" without "normalize", and search weights alone';
  const message = `Cannot take ${quote(tensor)} for a sum of multiples of task vectors: ${problem}; ${remedy}`;
  return new AmalgamError("usage", message);
}
