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
export type Scope = "row" | "column" | "tensor" | "model";

/** Element-wise or scalar, one argument. */
export const unaryOperators = ["negate", "abs", "sign", "sqrt", "floor", "exp", "log", "acos", "sin", "cos"] as const;
/** Element-wise or scalar, two arguments, giving a number. */
export const binaryOperators = ["add", "subtract", "multiply", "divide", "min", "max"] as const;
/** Element-wise, but each value depends on all of its row. */
export const rowOperators = ["rankInRow"] as const;
/** Two arguments, giving a mask. */
export const comparisons = ["less", "lessOrEqual", "equal"] as const;
/** Two masks, giving a mask. */
export const maskOperators = ["and", "or"] as const;
/** One number from all elements of a row, a column, a tensor or a whole model. */
export const reductions = ["sum", "largest", "kthMagnitude", "kthLargest"] as const;

export type UnaryOperator = (typeof unaryOperators)[number];
export type BinaryOperator = (typeof binaryOperators)[number];
export type RowOperator = (typeof rowOperators)[number];
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
  ...rowOperators,
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

/** How many values a node has: one per tensor, one per row or column, or one per element. */
export type Extent = "scalar" | "row" | "column" | "element";

/** By width. No program has both row and column values; see assertRunnable(). */
const extentOrder: readonly Extent[] = ["scalar", "row", "column", "element"];

/** The extent of every node, by id. A node is as wide as its widest argument; a reduction is as wide as its scope. */
export function extentsOf(nodes: readonly Node[]): readonly Extent[] {
  const extents: Extent[] = [];
  for (const node of nodes) {
    if (node.op === "input" || node.op === "uniform" || node.op === "rankInRow") extents.push("element");
    else if (isReduction(node.op)) {
      extents.push(node.scope === "row" || node.scope === "column" ? node.scope : "scalar");
    } else {
      const widest = Math.max(0, ...node.args.map((id) => extentOrder.indexOf(extents[id] ?? "scalar")));
      extents.push(extentOrder[widest] ?? "scalar");
    }
  }
  return extents;
}

export function isReduction(op: Operator): op is ReductionOperator {
  return (reductions as readonly string[]).includes(op);
}

/** Whether the reduction is an order statistic, which takes a rank and two counting passes. */
export function isOrderStatistic(op: Operator): op is "kthMagnitude" | "kthLargest" {
  return op === "kthMagnitude" || op === "kthLargest";
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

/** Every node that `roots` need, themselves included, in dependency order. Leaves are not entered. */
export function reachable(
  program: Pick<Program, "nodes">,
  roots: readonly NodeId[],
  isLeaf: (id: NodeId) => boolean = () => false,
): readonly NodeId[] {
  const isNeeded = new Set(roots);
  const needed: NodeId[] = [];
  // Arguments stand before their node, so going backwards finds a node after all that need it. No recursion: programs
  // from the network may be deep.
  for (let id = Math.max(-1, ...roots); id >= 0; id -= 1) {
    if (!isNeeded.has(id)) continue;
    needed.push(id);
    if (!isLeaf(id)) for (const arg of nodeAt(program, id).args) isNeeded.add(arg);
  }
  return needed.reverse();
}
