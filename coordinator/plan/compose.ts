import { Graph } from "../../shared/expression/expression.js";
import { schedule } from "../../shared/expression/passes.js";
import type { Program } from "../../shared/expression/program.js";
import type { MergedTensor } from "./merged-tensor.js";
import { Numbering } from "./numbering.js";
import type { PlannedInput, RandomStream } from "./types.js";

/** What stands at one input of a program: a tensor to read, or one that another program computes. */
export type Operand = { readonly input: PlannedInput } | { readonly merged: MergedTensor };

/** A program with all that it is run with. */
export type Computation = Pick<MergedTensor, "program" | "parameters" | "inputs" | "randomStreams">;

/**
 * Puts programs into one another, so that a recipe of several documents runs as one pass over its models and nothing
 * in between is ever stored or rounded. A tensor that several of them read is read once.
 */
export class Composer {
  readonly #programs = new Numbering<Program>();
  readonly #composed = new Map<string, Program>();

  /** `streams`: where the outer program's random streams come from. */
  compose(
    outer: Omit<Computation, "inputs" | "randomStreams">,
    operands: readonly Operand[],
    streams: readonly RandomStream[],
  ): Computation {
    const { program, parameters } = outer;
    const inputs: PlannedInput[] = [];
    const places = new Map<string, number>();
    const placeOf = (input: PlannedInput): number => {
      const key = JSON.stringify(input);
      const place = places.get(key) ?? inputs.push(input) - 1;
      places.set(key, place);
      return place;
    };
    const parts = operands.map((operand) =>
      "input" in operand
        ? { program: undefined, reads: [placeOf(operand.input)] }
        : { program: operand.merged.program, reads: operand.merged.inputs.map(placeOf) },
    );
    const merged = operands.map((operand) => ("merged" in operand ? operand.merged : undefined));
    const key = JSON.stringify([this.#programs.of(program), inputs.length, parts.map((part) => this.#describe(part))]);
    let composed = this.#composed.get(key);
    if (composed === undefined) {
      composed = inline(program, parts, inputs.length);
      this.#composed.set(key, composed);
    }
    const randomStreams = [
      ...streams.slice(0, streamsOf(program)),
      ...merged.flatMap((tensor) => tensor?.randomStreams?.slice(0, streamsOf(tensor.program)) ?? []),
    ];
    return {
      program: composed,
      parameters: [...parameters, ...merged.flatMap((tensor) => tensor?.parameters ?? [])],
      inputs,
      randomStreams: randomStreams.length === 0 ? undefined : randomStreams,
    };
  }

  #describe({ program, reads }: { program: Program | undefined; reads: readonly number[] }): unknown {
    return [program === undefined ? -1 : this.#programs.of(program), reads];
  }
}

const streamCounts = new WeakMap<Program, number>();

/** How many random streams a program draws from. */
export function streamsOf(program: Program): number {
  let count = streamCounts.get(program);
  if (count === undefined) {
    count = Math.max(0, ...program.nodes.filter(({ op }) => op === "uniform").map(({ value }) => value + 1));
    streamCounts.set(program, count);
  }
  return count;
}

/** Whether a program can be part of another: one that reduces over its own whole model cannot. */
export function isComposable(program: Program): boolean {
  return !schedule(program).modelwide;
}

function inline(
  outer: Program,
  parts: readonly { readonly program: Program | undefined; readonly reads: readonly number[] }[],
  inputs: number,
): Program {
  const graph = new Graph();
  const tensors = Array.from({ length: inputs }, () => graph.input());
  const read = (place: number | undefined) => {
    const tensor = tensors[place ?? -1];
    if (tensor === undefined) throw new RangeError(`There is no input ${place}`);
    return tensor;
  };
  // The outer program's parameters and streams come first, then those of each part in order.
  const outerParameters = outer.parameters.map((name) => graph.parameter(name));
  let streams = streamsOf(outer);
  const operands = parts.map(({ program, reads }) => {
    if (program === undefined) return read(reads[0]);
    const parameters = program.parameters.map((name) => graph.parameter(name));
    const first = streams;
    streams += streamsOf(program);
    return graph.include(program, { input: (i) => read(reads[i]), parameters, firstStream: first });
  });
  const output = graph.include(outer, {
    input: (i) => {
      const operand = operands[i];
      if (operand === undefined) throw new RangeError(`There is no operand ${i}`);
      return operand;
    },
    parameters: outerParameters,
    firstStream: 0,
  });
  return graph.finish(output);
}
