import { type Node, type NodeId, nodeAt, type Operator, type Program } from "../../../shared/expression/program.js";
import { pushExp, pushLog } from "./elementary-lanes.js";
import type { FunctionBody, Local, SimdInstruction } from "./encoder.js";

/** Operators that are one SIMD instruction. */
const instructions: Readonly<Partial<Record<Operator, SimdInstruction>>> = {
  negate: "f32x4.neg",
  sqrt: "f32x4.sqrt",
  floor: "f32x4.floor",
  add: "f32x4.add",
  subtract: "f32x4.sub",
  multiply: "f32x4.mul",
  divide: "f32x4.div",
  min: "f32x4.min",
  max: "f32x4.max",
  less: "f32x4.lt",
  lessOrEqual: "f32x4.le",
  equal: "f32x4.eq",
  and: "v128.and",
  or: "v128.or",
};

/** Pushes the result of one operator on four lanes. Masks are all ones where they hold. */
export function pushOperator(body: FunctionBody, program: Program, node: Node, args: readonly Local[]): void {
  const [a = -1, b = -1, c = -1] = args;
  const [, then, otherwise] = node.args;
  switch (node.op) {
    case "select":
      // A choice of zero, the commonest one, is a single AND.
      if (isZero(program, otherwise)) body.get(b).get(a).simd("v128.and");
      else if (isZero(program, then)) body.get(c).get(a).simd("v128.andnot");
      else body.get(b).get(c).get(a).simd("v128.bitselect");
      return;
    case "abs":
      pushMagnitude(body, a);
      return;
    case "sign":
      // ±1 with the argument's sign where it is not zero; NaN stays.
      body.get(a).splat(0x8000_0000).simd("v128.and").splat(0x3f80_0000).simd("v128.or");
      body.get(a).splat(0).simd("f32x4.ne").simd("v128.and");
      body.get(a).get(a).get(a).simd("f32x4.eq").simd("v128.bitselect");
      return;
    case "exp":
      pushExp(body, a);
      return;
    case "log":
      pushLog(body, a);
      return;
    default: {
      const instruction = instructions[node.op];
      if (instruction === undefined) throw new TypeError(`Operator "${node.op}" cannot be compiled per element`);
      for (const arg of args) body.get(arg);
      body.simd(instruction);
    }
  }
}

/** Pushes |x|. By a constant, which V8 keeps in a register on x64; f32x4.abs makes it anew each time. */
export function pushMagnitude(body: FunctionBody, lanes: Local): void {
  body.get(lanes).splat(0x7fff_ffff).simd("v128.and");
}

/** Plus zero only: minus zero has a bit set. */
function isZero(program: Program, id: NodeId | undefined): boolean {
  const node = id === undefined ? undefined : nodeAt(program, id);
  return node?.op === "constant" && Object.is(node.value, 0);
}
