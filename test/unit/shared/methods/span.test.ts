import { expect, test } from "vitest";
import { type Expression, Graph } from "../../../../shared/expression/expression.js";
import { interpret } from "../../../../shared/expression/interpret.js";
import { schedule } from "../../../../shared/expression/passes.js";
import { Span } from "../../../../shared/methods/span.js";

/** (3, 0, 4), (0, 1, 0), and combinations of them with coefficients 2 and −3: (6, −3, 8). */
const inputs = [Float32Array.of(3, 0, 4), Float32Array.of(0, 1, 0)];

function evaluate(output: (span: Span, x: Expression, coefficients: Expression[]) => Expression): number[] {
  const graph = new Graph();
  const [x, y] = [graph.input(), graph.input()];
  const coefficients = [graph.constant(2), graph.constant(-3)];
  const program = graph.finish(output(new Span([x, y], "tensor"), x, coefficients));
  expect(schedule(program).statistics.length).toBeLessThanOrEqual(1);
  return [...interpret(program, { inputs, parameters: [] })];
}

test("a combination is the sum of the tensors times their coefficients", () => {
  expect(evaluate((span, _, c) => span.combine(c))).toEqual([6, -3, 8]);
});

test("lengths and inner products of combinations take one pass, the one over the tensors", () => {
  expect(evaluate((span, x, c) => x.times(0).plus(span.length(c)))[0]).toBeCloseTo(Math.sqrt(109), 6);
  expect(evaluate((span, x, c) => x.times(0).plus(span.dot(x, c)))[0]).toBe(50);
});

test("products are gathered once each, whichever way round", () => {
  const graph = new Graph();
  const tensors = [graph.input(), graph.input(), graph.input()];
  const span = new Span(tensors, "tensor");
  const c = tensors.map((_, i) => graph.constant(i));
  const [first = graph.input()] = tensors;
  const program = graph.finish(first.times(span.length(c)).plus(span.dot(first, c)));
  expect(schedule(program).statistics.map(({ gathers }) => gathers.length)).toEqual([6]);
});
