import type { AnswerLoss, TaskAnswers } from "../../../../../../coordinator/sweep/losses/answer-loss.js";
import { Random } from "../../../../../../coordinator/sweep/search/random.js";
import type { TrialRequest } from "../../../../../../coordinator/sweep/search/searching.js";
import type { Dimension, Space } from "../../../../../../coordinator/sweep/space.js";
import type { Judgement } from "../../../../../support/run-search.js";

// Two layers, a base and an expert for each task: small enough for the loss of any merge to be computed exactly, in f64,
// by other code than the searches'.

const inputs = 5;
const hidden = 8;
const classes = 4;
const layers = ["first", "second"] as const;

interface Layer {
  readonly rows: number;
  readonly columns: number;
  readonly weights: Float64Array;
}

type Network = readonly [Layer, Layer];

/** A coefficient: of one expert's task vector, in all layers or one. */
interface Coefficient {
  readonly expert: number;
  readonly layer?: number;
}

export interface Toy {
  readonly tasks: readonly string[];
  readonly space: Space;
  readonly experts: ReadonlyMap<string, string>;
  /** What a merge answers to a task. Coefficients in the order of the space. */
  answers(coefficients: readonly number[]): ReadonlyMap<string, TaskAnswers>;
  /** A judge for `runSearch()` with the loss as the only objective. */
  judge(loss: AnswerLoss): (request: TrialRequest) => Judgement;
  /** Mean over tasks of a loss of exact answers. */
  loss(loss: AnswerLoss, coefficients: readonly number[]): number;
  /** Its gradient, by the chain rule through the network. */
  gradient(loss: AnswerLoss, coefficients: readonly number[]): readonly number[];
}

export function toyNetwork(
  seed: number,
  options: {
    readonly tasks?: number;
    readonly examples?: number;
    readonly groups?: boolean;
    readonly activation?: "tanh" | "relu";
    readonly size?: number;
    readonly start?: number;
    readonly range?: readonly [number, number];
  } = {},
): Toy {
  const { tasks: count = 3, examples = 16, groups = false, activation = "tanh", size = 0.6, start = 0.3 } = options;
  const [low, high] = options.range ?? [0, 1.5];
  const random = new Random(seed, "toy network");
  const base: Network = [randomLayer(hidden, inputs, 0.8), randomLayer(classes, hidden, 0.8)];
  const vectors = Array.from(
    { length: count },
    (): Network => [randomLayer(hidden, inputs, size), randomLayer(classes, hidden, size)],
  );
  const tasks = vectors.map((_, i) => `task ${i}`);
  const data = tasks.map(() => Float64Array.from({ length: examples * inputs }, () => random.normal()));
  const coefficients: readonly Coefficient[] = vectors.flatMap((_, expert) =>
    groups ? layers.map((__, layer) => ({ expert, layer })) : [{ expert }],
  );
  const space = coefficients.map(({ expert, layer }): Dimension => {
    const group = layer === undefined ? undefined : layers[layer];
    const model = `expert ${expert}`;
    const name = group === undefined ? model : `${model} ${group}`;
    return { kind: "range", name, model, low, high, scale: "linear", start, ...(group === undefined ? {} : { group }) };
  });
  const isAt = (layer: number, coefficient: Coefficient | undefined): boolean =>
    coefficient?.layer === undefined || coefficient.layer === layer;

  const merged = (values: readonly number[]): Network => {
    const layerOf = (layer: 0 | 1): Layer => {
      const weights = base[layer].weights.slice();
      for (const [i, value] of values.entries()) {
        const coefficient = coefficients[i];
        if (!isAt(layer, coefficient)) continue;
        const vector = vectors[coefficient?.expert ?? 0]?.[layer].weights;
        for (let k = 0; k < weights.length; k += 1) weights[k] = (weights[k] ?? 0) + value * (vector?.[k] ?? 0);
      }
      return { ...base[layer], weights };
    };
    return [layerOf(0), layerOf(1)];
  };
  const bend = (x: number): number => (activation === "tanh" ? Math.tanh(x) : Math.max(0, x));
  const slope = (x: number): number => (activation === "tanh" ? 1 - Math.tanh(x) ** 2 : x > 0 ? 1 : 0);

  const forward = ([first, second]: Network, batch: Float64Array): Float64Array =>
    Float64Array.from(rowsOf(batch).flatMap((x) => [...times(second, times(first, x).map(bend))]));

  const oneHot = (expert: number): readonly number[] =>
    coefficients.map((coefficient) => (coefficient.expert === expert ? 1 : 0));
  const teachers = tasks.map((_, i) => forward(merged(oneHot(i)), data[i] ?? new Float64Array()));
  // An expert is right about its own task, by definition.
  const labels = teachers.map((logits) =>
    Int32Array.from({ length: examples }, (_, row) => {
      const own = Array.from(logits.subarray(row * classes, (row + 1) * classes));
      return own.indexOf(Math.max(...own));
    }),
  );

  const exactAnswers = (place: readonly number[]): Map<string, TaskAnswers> => {
    const network = merged(place);
    return new Map(
      tasks.map((task, i): [string, TaskAnswers] => {
        const values = Float32Array.from(forward(network, data[i] ?? new Float64Array()));
        const teacher = Float32Array.from(teachers[i] ?? []);
        return [task, { values, width: classes, classes: labels[i] ?? new Int32Array(), teacher }];
      }),
    );
  };

  const toy: Toy = {
    ...{ tasks, space },
    experts: new Map(tasks.map((task, i) => [task, `expert ${i}`])),
    answers: exactAnswers,
    judge: (loss) => (request) => {
      const expert = request.reference === undefined ? -1 : Number(request.reference.split(" ")[1]);
      const values = expert < 0 ? space.map(({ name }) => Number(request.point[name])) : oneHot(expert);
      const answers = exactAnswers(values);
      return { losses: [meanLoss(loss, answers)], answers };
    },
    loss: (loss, values) => meanLoss(loss, exactAnswers(values)),
    gradient: (loss, values) =>
      coefficients.map((coefficient) => {
        const network = merged(values);
        const direction = vectors[coefficient.expert];
        let sum = 0;
        for (const [i, answers] of [...exactAnswers(values).values()].entries()) {
          const slopes = loss.gradient(answers);
          const change = rowsOf(data[i] ?? new Float64Array()).flatMap((x) => {
            const before = times(network[0], x);
            const inner =
              direction === undefined || !isAt(0, coefficient) ? before.map(() => 0) : times(direction[0], x);
            const activity = before.map(bend);
            const through = times(
              network[1],
              before.map((value, k) => slope(value) * (inner[k] ?? 0)),
            );
            const own =
              direction === undefined || !isAt(1, coefficient) ? through.map(() => 0) : times(direction[1], activity);
            return [...through.map((value, k) => value + (own[k] ?? 0))];
          });
          sum += slopes.reduce((total, value, k) => total + value * (change[k] ?? 0), 0) / tasks.length;
        }
        return sum;
      }),
  };
  return toy;

  function randomLayer(rows: number, columns: number, scale: number): Layer {
    const weights = Float64Array.from({ length: rows * columns }, () => random.normal() * scale);
    return { rows, columns, weights };
  }
}

function meanLoss(loss: AnswerLoss, answers: ReadonlyMap<string, TaskAnswers>): number {
  return [...answers.values()].reduce((sum, one) => sum + loss.value(one) / answers.size, 0);
}

function rowsOf(batch: Float64Array): readonly Float64Array[] {
  return Array.from({ length: batch.length / inputs }, (_, row) => batch.subarray(row * inputs, (row + 1) * inputs));
}

function times({ rows, columns, weights }: Layer, x: Float64Array): Float64Array {
  return Float64Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (let k = 0; k < columns; k += 1) sum += (weights[row * columns + k] ?? 0) * (x[k] ?? 0);
    return sum;
  });
}

/** The smallest value that walking along the axes and their diagonals finds, from a start, in a box. Slow, and knows no slopes. */
export function patternSearch(
  value: (x: readonly number[]) => number,
  start: readonly number[],
  [low, high]: readonly [number, number],
): { readonly x: readonly number[]; readonly value: number } {
  let best = { x: [...start], value: value(start) };
  for (let step = 0.2; step > 1e-3; ) {
    const before = best.value;
    const tried = start.flatMap((_, i) =>
      start.flatMap((__, j) =>
        [1, -1].flatMap((s) => [
          [i, s, j, 1],
          [i, s, j, -1],
        ]),
      ),
    );
    for (const [i = 0, s = 1, j = 0, t = 1] of tried) {
      const x = best.x.map((old, k) => {
        const moved = old + (k === i ? s * step : 0) + (k === j && j !== i ? t * step : 0);
        return Math.min(high, Math.max(low, moved));
      });
      const reached = value(x);
      if (reached < best.value) best = { x, value: reached };
    }
    if (best.value === before) step /= 2;
  }
  return best;
}
