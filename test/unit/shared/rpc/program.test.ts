import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { dot, Graph, sum, where } from "../../../../shared/expression/expression.js";
import type { Program } from "../../../../shared/expression/program.js";
import { type Program as ProgramMessage, ProgramSchema, Scope } from "../../../../shared/gen/amalgam/v1/program_pb.js";
import { programFromProto, programLimits } from "../../../../shared/rpc/program.js";
import { programToProto } from "../../../../shared/rpc/program-message.js";

function everyOperator(): Program {
  const graph = new Graph();
  const [base, a, b] = [graph.input(), graph.input(), graph.input()];
  const weight = graph.parameter('weight of "a"');
  const delta = a.minus(base).times(weight);
  const kept = delta.abs().isAtLeast(delta.kthMagnitude("model", graph.count("model").times(0.2)));
  const angle = dot(a, b, "row")
    .over(dot(a, a, "row").sqrt())
    .acos()
    .sin();
  const ranked = a.rankInRow().exp().log().minus(b.kthLargest("tensor", 3));
  const drawn = graph.uniform(3).isBelow(0.5).and(kept).or(a.equals(b));
  const mixed = sum([
    where(drawn, delta, -0),
    b.negated().sign(),
    a.atMost(b).atLeast(base),
    angle,
    ranked,
    weight.floor(),
  ]);
  return graph.finish(mixed.over(mixed.largestOver("tensor")).plus(base.sumOver("tensor")));
}

function message(change: (program: ProgramMessage) => void): ProgramMessage {
  const program = programToProto(everyOperator());
  change(program);
  return program;
}

function node(op: string, args: number[] = [], value = 0, scope = Scope.UNSPECIFIED) {
  return { op, args, value, scope };
}

/** A message of these nodes, the last of which is the output. */
function nodes(...list: ReturnType<typeof node>[]): ProgramMessage {
  return create(ProgramSchema, { nodes: list, output: list.length - 1, inputs: 2, parameters: ["t"] });
}

test("a program survives the wire", () => {
  const program = everyOperator();
  const bytes = toBinary(ProgramSchema, programToProto(program));
  expect(programFromProto(fromBinary(ProgramSchema, bytes))).toEqual(program);
});

test("a program with values per column survives the wire", () => {
  const graph = new Graph();
  const x = graph.input();
  const program = graph.finish(x.minus(x.sumOver("column").over(graph.count("column")).cos()));
  expect(programFromProto(programToProto(program))).toEqual(program);
});

test("programFromProto() refuses an operator that it does not know", () => {
  const unknown = message(({ nodes: [first] }) => Object.assign(first ?? {}, { op: "exec" }));
  expect(() => programFromProto(unknown)).toThrow(
    'Cannot run a program: node 0 ("exec") has an operator that this agent',
  );
});

test("programFromProto() refuses names that every object has", () => {
  expect(() => programFromProto(nodes(node("constructor")))).toThrow("does not know");
});

test("programFromProto() refuses an argument that does not stand before its node", () => {
  expect(() => programFromProto(nodes(node("input"), node("add", [0, 1])))).toThrow(
    'node 1 ("add") has argument 1, which does not stand before it',
  );
  expect(() => programFromProto(nodes(node("input"), node("add", [0, 9])))).toThrow("argument 9");
});

test("programFromProto() refuses a wrong number of arguments", () => {
  expect(() => programFromProto(nodes(node("input"), node("add", [0])))).toThrow("has 1 arguments, not 2");
  expect(() => programFromProto(nodes(node("input", [0])))).toThrow("has 1 arguments, not 0");
});

test("programFromProto() refuses a mask where a number belongs, and the reverse", () => {
  const mask = node("less", [0, 0]);
  expect(() => programFromProto(nodes(node("input"), mask, node("add", [0, 1])))).toThrow(
    "needs a number as argument 2",
  );
  expect(() => programFromProto(nodes(node("input"), node("select", [0, 0, 0])))).toThrow("needs a mask as argument 1");
  expect(() => programFromProto(nodes(node("input"), mask))).toThrow("its output, node 1, is a mask");
});

test("programFromProto() refuses inputs, parameters and streams that are out of range", () => {
  expect(() => programFromProto(nodes(node("input", [], 2)))).toThrow("has the value 2");
  expect(() => programFromProto(nodes(node("input", [], 0.5)))).toThrow("has the value 0.5");
  expect(() => programFromProto(nodes(node("input"), node("parameter", [], 1), node("add", [0, 1])))).toThrow(
    "value 1",
  );
  expect(() => programFromProto(nodes(node("uniform", [], -1)))).toThrow("has the value -1");
});

test("programFromProto() refuses a scope that is missing, unknown or out of place", () => {
  expect(() => programFromProto(nodes(node("input"), node("sum", [0])))).toThrow("has scope 0");
  expect(() => programFromProto(nodes(node("input"), node("sum", [0], 0, 77 as Scope)))).toThrow("has scope 77");
  expect(() => programFromProto(nodes(node("input"), node("abs", [0], 0, Scope.ROW)))).toThrow("has scope 1");
});

test("programFromProto() refuses what no backend runs", () => {
  expect(() => programFromProto(nodes(node("input"), node("sin", [0])))).toThrow('"sin" of every element');
  expect(() => programFromProto(nodes(node("input"), node("sum", [0], 0, Scope.TENSOR)))).toThrow("value per element");
  const rank = node("kthMagnitude", [0, 0], 0, Scope.TENSOR);
  expect(() => programFromProto(nodes(node("input"), rank, node("add", [0, 1])))).toThrow(
    "a rank that is not one number",
  );
});

test("programFromProto() refuses an output that is not there and an empty program", () => {
  expect(() => programFromProto(message((program) => Object.assign(program, { output: 999 })))).toThrow("node 999 of");
  expect(() => programFromProto(create(ProgramSchema))).toThrow("its output is node 0 of 0");
});

test("programFromProto() refuses more nodes than the limit", () => {
  const list = Array.from({ length: programLimits.nodes + 1 }, () => node("input"));
  expect(() => programFromProto(nodes(...list))).toThrow("it has 65537 nodes, above the limit of 65536");
});

test("programFromProto() takes the longest program that it allows", () => {
  const list = [node("input"), ...Array.from({ length: programLimits.nodes - 1 }, (_, i) => node("abs", [i]))];
  expect(programFromProto(nodes(...list)).nodes).toHaveLength(programLimits.nodes);
});
