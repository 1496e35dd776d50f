import { expect, test } from "vitest";
import { type Expression, Graph, norm, sum } from "../../../../shared/expression/expression.js";
import { assertRunnable, schedule, sharedGathers } from "../../../../shared/expression/passes.js";
import type { Program } from "../../../../shared/expression/program.js";

function program(build: (x: Expression, y: Expression) => Expression): Program {
  const graph = new Graph();
  return graph.finish(build(graph.input(), graph.input()));
}

test("a rank makes a program rowwise, and needs no pass of its own", () => {
  const plan = schedule(program((x, y) => x.rankInRow().times(y)));
  expect(plan).toMatchObject({ rowwise: true, columnwise: false, modelwide: false, slots: 0, statistics: [] });
  expect(plan.prepared).toHaveLength(1);
});

test("what follows from sums over columns is known one pass after they are", () => {
  const plan = schedule(
    program((x, y) => x.over(y.minus(y.sumOver("column")).abs().sumOver("column").plus(norm(x, "tensor")))),
  );
  expect(plan).toMatchObject({ rowwise: false, columnwise: true, modelwide: false, slots: 1 });
  expect(plan.statistics.map(({ gathers, columnSums }) => [gathers.length, columnSums.length])).toEqual([
    [1, 1],
    [0, 1],
  ]);
  // The first sum itself, which is subtracted, and the divisor; the second sum stays among column values.
  expect(plan.prepared).toHaveLength(2);
});

test("a k-th largest takes two counting passes of its own kind", () => {
  const plan = schedule(program((x, y) => x.minus(y.kthLargest("tensor", 3)).plus(y.kthMagnitude("model", 3))));
  const kinds = plan.statistics.map(({ gathers }) => gathers.map(({ kind }) => kind));
  expect(kinds).toEqual([
    ["upperOrder", "upperBits"],
    ["lowerOrder", "lowerBits"],
  ]);
  expect(plan.slots).toBe(6);
});

test.each<[string, (x: Expression, y: Expression) => Expression, string]>([
  ["an angle of every element", (x) => x.acos(), '"acos" of every element is not supported'],
  ["row and column values", (x) => x.minus(x.sumOver("row")).minus(x.sumOver("column")), "values per row"],
  ["ranks and column values", (x, y) => x.rankInRow().minus(y.sumOver("column")), "values per row"],
  ["column and model values", (x) => x.minus(x.sumOver("column")).minus(x.sumOver("model")), "the whole model"],
  ["no value per element", (x) => x.sumOver("column"), "must have a value per element"],
])("assertRunnable() rejects %s", (_, build, complaint) => {
  expect(() => assertRunnable(program(build))).toThrow(complaint);
});

test.each([
  ["kthLargest", "row", '"kthLargest" has tensor or model scope'],
  ["kthMagnitude", "column", '"kthMagnitude" has tensor or model scope'],
  ["largest", "column", '"largest" has no column scope'],
] as const)(
  "assertRunnable() rejects %s over a %s, which no method can write but a message can",
  (op, scope, complaint) => {
    const { nodes, ...rest } = program((x, y) => x.plus(y.sumOver(scope)));
    const bad = nodes.map((node) => (node.op === "sum" ? { ...node, op, args: [...node.args, ...node.args] } : node));
    expect(() => assertRunnable({ nodes: bad, ...rest })).toThrow(complaint);
  },
);

test("assertRunnable() accepts exp and log of elements, and trigonometry of columns", () => {
  assertRunnable(program((x, y) => x.exp().log().plus(y.sumOver("column").cos())));
});

test("order statistics of one expression share their first counts, and nothing else is shared", () => {
  const given = program((x, y) => {
    const thirds = [1, 2].map((third) => y.kthLargest("tensor", third));
    return x.plus(sum(thirds)).plus(x.kthLargest("tensor", 1)).plus(y.kthMagnitude("tensor", 1));
  });
  const distinct = schedule(given).statistics.map(({ gathers }) => new Set(sharedGathers(given, gathers)).size);
  expect(schedule(given).statistics.map(({ gathers }) => gathers.length)).toEqual([4, 4]);
  expect(distinct).toEqual([3, 4]);
});
