import { type Expression, Graph, norm, where } from "../../shared/expression/expression.js";
import type { Program } from "../../shared/expression/program.js";

/** A program and the values of its parameters. */
export interface Computed {
  readonly program: Program;
  readonly parameters: readonly number[];
}

/** (w + noise · N(0, 1)) · residual. Either may be left out. */
export class ExpertPrograms {
  readonly #known = new Map<string, Program>();

  /** Undefined where the weight stays as it is. */
  programFor(noise: number | undefined, residual: number | undefined): Computed | undefined {
    const noisy = noise !== undefined && noise !== 0;
    const scaled = residual !== undefined && residual !== 1;
    if (!noisy && !scaled) return undefined;
    const key = `${noisy} ${scaled}`;
    let program = this.#known.get(key);
    if (program === undefined) {
      const graph = new Graph();
      let weight = graph.input();
      if (noisy) weight = weight.plus(standardNormal(graph, 0).times(graph.parameter("noise_scale")));
      if (scaled) weight = weight.times(graph.parameter("residual_scale"));
      program = graph.finish(weight);
      this.#known.set(key, program);
    }
    return { program, parameters: [...(noisy ? [noise] : []), ...(scaled ? [residual] : [])] };
  }
}

/** Gates for `gate_mode: random`: N(0, 1). */
export const normalGate: Program = (() => {
  const graph = new Graph();
  return graph.finish(standardNormal(graph, 0));
})();

/** Gates for `gate_mode: uniform_random`: what torch.nn.Linear starts from, uniform in ±√(1/in). Parameter: √(1/in). */
export const uniformGate: Program = (() => {
  const graph = new Graph();
  const scale = graph.parameter("√(1/in_features)");
  return graph.finish(graph.uniform(0).times(2).minus(1).times(scale));
})();

/** A tensor that has no source. A program's output differs by element, or it is refused: a random number, times zero. */
export const zeros: Program = (() => {
  const graph = new Graph();
  return graph.finish(graph.uniform(0).times(0));
})();

/** Below this a length counts as zero, in mergekit's routers. */
const shortest = 1e-8;

/**
 * Gates for `gate_mode: cheap_embed`, from two inputs whose rows are sums of token embeddings: p̂ − n̂ brought to length 1,
 * where p̂ and n̂ are the rows of the positive and of the negative prompts, each at length 1.
 */
export const promptGate: Program = (() => {
  const graph = new Graph();
  const positive = unit(graph.input());
  const negative = unit(graph.input());
  return graph.finish(unit(positive.minus(negative)));
})();

/** The same without negative prompts. */
export const plainPromptGate: Program = (() => {
  const graph = new Graph();
  return graph.finish(unit(graph.input()));
})();

function unit(x: Expression): Expression {
  return x.over(norm(x, "row").atLeast(shortest));
}

/**
 * N(0, 1) from two streams of uniform numbers: |z| by inverting the distribution, the sign by a coin. The inversion is
 * PPND7 (Wichura 1988, "Algorithm AS 241", Applied Statistics 37), to about 7 digits, of a tail t in [2⁻²⁵, ½]; its last
 * branch is for tails that 24 random bits do not reach. |z| stays below 5.5.
 */
export function standardNormal(graph: Graph, firstStream: number): Expression {
  const tail = graph.constant(1).minus(graph.uniform(firstStream)).times(0.5);
  const q = graph.constant(0.5).minus(tail);
  const near = graph.constant(0.180625).minus(q.times(q));
  const far = tail.log().negated().sqrt().minus(1.6);
  const central = q
    .times(polynomial(near, [59.10937472, 159.29113202, 50.434271938, 3.3871327179]))
    .over(polynomial(near, [67.1875636, 78.757757664, 17.895169469, 1]));
  const outer = polynomial(far, [0.17023821103, 1.3067284816, 2.75681539, 1.4234372777]).over(
    polynomial(far, [0.12021132975, 0.7370016425, 1]),
  );
  const magnitude = where(q.isAtMost(0.425), central, outer);
  return where(graph.uniform(firstStream + 1).isBelow(0.5), magnitude.negated(), magnitude);
}

/** By Horner's rule, the highest power first. */
function polynomial(x: Expression, [first = 0, second = 0, ...rest]: readonly number[]): Expression {
  return rest.reduce((sum, coefficient) => sum.times(x).plus(coefficient), x.times(first).plus(second));
}
