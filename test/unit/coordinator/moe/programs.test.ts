import { expect, test } from "vitest";
import { ExpertPrograms, normalGate, promptGate, uniformGate } from "../../../../coordinator/moe/programs.js";
import { Graph } from "../../../../shared/expression/expression.js";
import { interpret } from "../../../../shared/expression/interpret.js";
import type { Program } from "../../../../shared/expression/program.js";
import { type RandomKey, randomKey, uniformAt } from "../../../../shared/expression/random.js";
import { runCompiled, runInterpreted } from "../../../support/pieces.js";

const keys = [0, 1].map((stream) => randomKey(11, "model.layers.0.weight", stream));
const [magnitudes, signs] = keys as [RandomKey, RandomKey];

/** A program's numbers, over so many elements. */
function numbers(program: Program, count: number, parameters: readonly number[] = []): Float64Array {
  const zeros = new Float32Array(count);
  return interpret(program, { inputs: [zeros], parameters, keys, rowElements: count }, "f32");
}

/** The same numbers, added to an input: the interpreter takes the number of elements from there. */
function withInput(program: Program): Program {
  const graph = new Graph();
  const input = graph.input();
  const parameters = program.parameters.map((name) => graph.parameter(name));
  return graph.finish(input.plus(graph.include(program, { input: () => input, parameters, firstStream: 0 })));
}

const normal = withInput(normalGate);

/** Φ(x), from the complementary error function by its continued fraction and its series. */
function normalBelow(x: number): number {
  const z = Math.abs(x);
  let below = 0.5;
  if (z < 3) {
    for (let n = 0, term = z / Math.sqrt(2 * Math.PI); n < 200; n += 1) {
      below += term / (2 * n + 1);
      term *= -(z * z) / 2 / (n + 1);
    }
  } else {
    let fraction = z;
    for (let n = 200; n > 0; n -= 1) fraction = z + n / fraction;
    below = 1 - Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI) / fraction;
  }
  return x < 0 ? 1 - below : below;
}

test("a normal number is the quantile of its uniform one, with a coin's sign", () => {
  const count = 20_000;
  const drawn = numbers(normal, count);
  for (let i = 0; i < count; i += 1) {
    const tail = (1 - uniformAt(magnitudes, i)) / 2;
    const z = drawn[i] ?? Number.NaN;
    expect(Math.sign(z)).toBe(uniformAt(signs, i) < 0.5 ? -1 : 1);
    expect(Math.abs(1 - normalBelow(Math.abs(z)) - tail)).toBeLessThan(5e-7);
  }
});

test("a hundred thousand of them have the moments of N(0, 1)", () => {
  const drawn = numbers(normal, 100_000);
  const moment = (power: number): number => drawn.reduce((sum, z) => sum + z ** power, 0) / drawn.length;
  expect(Math.abs(moment(1))).toBeLessThan(0.012);
  expect(Math.abs(moment(2) - 1)).toBeLessThan(0.02);
  expect(Math.abs(moment(3))).toBeLessThan(0.05);
  expect(Math.abs(moment(4) - 3)).toBeLessThan(0.15);
});

test("compiled kernels draw the interpreter's bits", () => {
  const given = { program: normal, inputs: [new Float32Array(5000)], seed: 3 };
  expect(Buffer.from(runCompiled(given).bytes).equals(runInterpreted(given))).toBe(true);
});

test("gates that need no input run without one", () => {
  expect([normalGate.inputs, uniformGate.inputs]).toEqual([0, 0]);
});

test("uniform gates fill ±√(1/in) evenly", () => {
  const drawn = numbers(withInput(uniformGate), 10_000, [0.25]);
  drawn.forEach((value, i) => {
    expect(value).toBeCloseTo((2 * uniformAt(magnitudes, i) - 1) * 0.25, 7);
  });
  expect(Math.max(...drawn)).toBeGreaterThan(0.249);
  expect(Math.min(...drawn)).toBeLessThan(-0.249);
});

test("noise and scale act in mergekit's order: the noise is scaled too", () => {
  const programs = new ExpertPrograms();
  const both = programs.programFor(0.5, 3);
  if (both === undefined) throw new Error("There is a program");
  const [input, count] = [Float32Array.of(1, -2, 4), 3];
  const plain = numbers(normal, count);
  const drawn = interpret(
    both.program,
    { inputs: [input], parameters: both.parameters, keys, rowElements: count },
    "f32",
  );
  drawn.forEach((value, i) => {
    expect(value).toBeCloseTo(3 * ((input[i] ?? 0) + 0.5 * (plain[i] ?? 0)), 5);
  });
  expect(programs.programFor(undefined, undefined)).toBeUndefined();
  expect(programs.programFor(0, 1)).toBeUndefined();
  expect(programs.programFor(1, 1)?.program).toBe(programs.programFor(2, undefined)?.program);
});

test("a prompt's gate has length 1, and none is NaN where prompts cancel or vanish", () => {
  const positive = Float32Array.of(3, 4, 1, 0, 0, 0);
  const negative = Float32Array.of(0, 0, 2, 0, 0, 0);
  const tensor = { inputs: [positive, negative], parameters: [], keys: [], rowElements: 2 };
  const gate = [...interpret(promptGate, tensor, "f64")];
  [0.6, 0.8, 0, 0, 0, 0].forEach((value, i) => {
    expect(gate[i]).toBeCloseTo(value, 6);
  });
});
