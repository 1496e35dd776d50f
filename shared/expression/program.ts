/**
 * A merge method after its `output` function has been called: a small graph of plain data that says what one output
 * tensor is. It crosses the wire, it is hashed into the plan, and every backend runs it; nobody asks which method it
 * came from.
 */
export interface Program {
  /** In dependency order: a node's arguments stand before it. */
  readonly nodes: readonly Node[];
  /** The node whose elements are the output tensor. */
  readonly output: NodeId;
  /** How many input tensors the program reads; input `i` belongs to the merge's i-th model. */
  readonly inputs: number;
  /** What each parameter slot holds, for messages: `weight of "math"`. */
  readonly parameters: readonly string[];
}

export type NodeId = number;

/** What a reduction runs over. The planner cuts the work accordingly and never asks a method for its name. */
export type Scope = "row" | "tensor" | "model";

/** Element-wise or scalar, one argument. */
export const unaryOperators = ["negate", "abs", "sign", "sqrt", "floor", "acos", "sin"] as const;
/** Element-wise or scalar, two arguments, giving a number. */
export const binaryOperators = ["add", "subtract", "multiply", "divide", "min", "max"] as const;
/** Two arguments, giving a mask. */
export const comparisons = ["less", "lessOrEqual", "equal"] as const;
/** Two masks, giving a mask. */
export const maskOperators = ["and", "or"] as const;
/** One number from all elements of a row, a tensor or a whole model. */
export const reductions = ["sum", "largest", "kthMagnitude"] as const;

export type UnaryOperator = (typeof unaryOperators)[number];
export type BinaryOperator = (typeof binaryOperators)[number];
export type Comparison = (typeof comparisons)[number];
export type MaskOperator = (typeof maskOperators)[number];
export type ReductionOperator = (typeof reductions)[number];
export type LeafOperator = "input" | "parameter" | "constant" | "count" | "uniform";

export const operators = [
  "input",
  "parameter",
  "constant",
  "count",
  "uniform",
  ...unaryOperators,
  ...binaryOperators,
  ...comparisons,
  ...maskOperators,
  "select",
  ...reductions,
] as const;
export type Operator = (typeof operators)[number];

export interface Node {
  readonly op: Operator;
  readonly args: readonly NodeId[];
  /**
   * `constant`: the number; `input`: which model; `parameter`: which slot; `uniform`: which random stream.
   * Zero for every other operator.
   */
  readonly value: number;
  /** For `count` and reductions: over what. */
  readonly scope?: Scope;
}

/** How many values a node has: one per tensor, one per row, or one per element. */
export type Extent = "scalar" | "row" | "element";

const extentOrder: readonly Extent[] = ["scalar", "row", "element"];

/** The extent of every node, by id. A node is as wide as its widest argument; a reduction is as wide as its scope. */
export function extentsOf(nodes: readonly Node[]): readonly Extent[] {
  const extents: Extent[] = [];
  for (const node of nodes) {
    if (node.op === "input" || node.op === "uniform") extents.push("element");
    else if (isReduction(node.op)) extents.push(node.scope === "row" ? "row" : "scalar");
    else {
      const widest = Math.max(0, ...node.args.map((id) => extentOrder.indexOf(extents[id] ?? "scalar")));
      extents.push(extentOrder[widest] ?? "scalar");
    }
  }
  return extents;
}

export function isReduction(op: Operator): op is ReductionOperator {
  return (reductions as readonly string[]).includes(op);
}

/** Whether the node's values are true or false rather than numbers. */
export function isMask(op: Operator): boolean {
  return (comparisons as readonly string[]).includes(op) || (maskOperators as readonly string[]).includes(op);
}

/** The node with this id. Ids come from the same program, so a miss is a bug. */
export function nodeAt(program: Pick<Program, "nodes">, id: NodeId): Node {
  const node = program.nodes[id];
  if (node === undefined) throw new RangeError(`Node ${id} is not in a program of ${program.nodes.length} nodes`);
  return node;
}

/** Every node that `roots` need, themselves included, in dependency order. Reductions in `stopAt` are not entered. */
export function reachable(
  program: Pick<Program, "nodes">,
  roots: readonly NodeId[],
  isLeaf: (id: NodeId) => boolean = () => false,
): readonly NodeId[] {
  const seen = new Set<NodeId>();
  const visit = (id: NodeId): void => {
    if (seen.has(id)) return;
    seen.add(id);
    if (!isLeaf(id)) for (const arg of nodeAt(program, id).args) visit(arg);
  };
  roots.forEach(visit);
  return [...seen].sort((a, b) => a - b);
}
