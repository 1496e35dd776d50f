import { isMask, type Node, type NodeId, type Operator, type Program, type Scope } from "./program.js";

/** A number, or anything that becomes one for every element. */
export type Operand = Expression | number;

/**
 * One value in a method's formula: a number per tensor, per row or per element, whichever its parts are. Operators
 * return new expressions; equal expressions are one node, so writing a term twice costs nothing.
 */
export class Expression {
  readonly #graph: Graph;
  readonly id: NodeId;

  constructor(graph: Graph, id: NodeId) {
    this.#graph = graph;
    this.id = id;
  }

  plus(other: Operand): Expression {
    return this.#with("add", other);
  }

  minus(other: Operand): Expression {
    return this.#with("subtract", other);
  }

  times(other: Operand): Expression {
    return this.#with("multiply", other);
  }

  over(other: Operand): Expression {
    return this.#with("divide", other);
  }

  /** The smaller of the two; NaN if either is. */
  atMost(other: Operand): Expression {
    return this.#with("min", other);
  }

  /** The larger of the two; NaN if either is. */
  atLeast(other: Operand): Expression {
    return this.#with("max", other);
  }

  negated(): Expression {
    return this.#graph.node("negate", [this]);
  }

  abs(): Expression {
    return this.#graph.node("abs", [this]);
  }

  /** −1, 0 or +1; NaN stays NaN, so that a broken weight shows in the output instead of vanishing in an election. */
  sign(): Expression {
    return this.#graph.node("sign", [this]);
  }

  sqrt(): Expression {
    return this.#graph.node("sqrt", [this]);
  }

  floor(): Expression {
    return this.#graph.node("floor", [this]);
  }

  /** eˣ. Of elements: in f32 by a fixed sequence of operations (elementary.ts), to within 1 ulp. */
  exp(): Expression {
    return this.#graph.node("exp", [this]);
  }

  /** The natural logarithm, as {@link exp}: −∞ of zero, NaN of what is below. */
  log(): Expression {
    return this.#graph.node("log", [this]);
  }

  /**
   * Where |x| stands among the magnitudes of its row, ascending, from 0 for the smallest to 1 for the largest:
   * (rank − 1)/(n − 1). Of equal magnitudes the earlier one is lower; NaN is above +∞. ½ in a row of one element,
   * where there is nothing to compare with.
   */
  rankInRow(): Expression {
    return this.#graph.node("rankInRow", [this]);
  }

  /** Not of elements: no backend promises the same bits there. */
  acos(): Expression {
    return this.#graph.node("acos", [this]);
  }

  /** Not of elements, as {@link acos}. */
  sin(): Expression {
    return this.#graph.node("sin", [this]);
  }

  /** Not of elements, as {@link acos}. */
  cos(): Expression {
    return this.#graph.node("cos", [this]);
  }

  isBelow(other: Operand): Expression {
    return this.#with("less", other);
  }

  isAbove(other: Operand): Expression {
    return this.#graph.node("less", [this.#graph.lift(other), this]);
  }

  isAtMost(other: Operand): Expression {
    return this.#with("lessOrEqual", other);
  }

  isAtLeast(other: Operand): Expression {
    return this.#graph.node("lessOrEqual", [this.#graph.lift(other), this]);
  }

  equals(other: Operand): Expression {
    return this.#with("equal", other);
  }

  /** Both masks hold. */
  and(other: Expression): Expression {
    return this.#graph.node("and", [this, other]);
  }

  /** Either mask holds. */
  or(other: Expression): Expression {
    return this.#graph.node("or", [this, other]);
  }

  /** This mask chooses: `then` where it holds, `otherwise` elsewhere. */
  choose(then: Operand, otherwise: Operand): Expression {
    return this.#graph.node("select", [this, this.#graph.lift(then), this.#graph.lift(otherwise)]);
  }

  /**
   * The sum of all elements in the scope, in f64 over fixed blocks. A column is what has the same place in every slice
   * of the first dimension: for a matrix, a column; for a vector, all of it.
   */
  sumOver(scope: Scope): Expression {
    return this.#graph.node("sum", [this], scope);
  }

  /** The largest element in the scope; NaN if any is, −∞ of nothing. */
  largestOver(scope: "row" | "tensor" | "model"): Expression {
    return this.#graph.node("largest", [this], scope);
  }

  /**
   * The k-th largest |x| in the scope (k = 1: the largest), exactly. k at or below zero gives +∞, k beyond the count
   * gives the smallest magnitude. NaN ranks above +∞.
   */
  kthMagnitude(scope: "tensor" | "model", k: Operand): Expression {
    return this.#graph.node("kthMagnitude", [this, this.#graph.lift(k)], scope);
  }

  /**
   * The k-th largest x in the scope (k = 1: the largest), exactly; k as for {@link kthMagnitude}. NaN ranks above +∞,
   * −0 below +0.
   */
  kthLargest(scope: "tensor" | "model", k: Operand): Expression {
    return this.#graph.node("kthLargest", [this, this.#graph.lift(k)], scope);
  }

  /** How many elements the scope has. */
  countOver(scope: Scope): Expression {
    return this.#graph.count(scope);
  }

  /** Independent uniform random numbers in [0, 1), one per element: same recipe seed, tensor and stream, same numbers. */
  uniform(stream: number): Expression {
    return this.#graph.uniform(stream);
  }

  #with(op: Operator, other: Operand): Expression {
    return this.#graph.node(op, [this, this.#graph.lift(other)]);
  }
}

/** Builds a {@link Program}. Structurally equal nodes are stored once. */
export class Graph {
  readonly #nodes: Node[] = [];
  readonly #known = new Map<string, NodeId>();
  readonly #parameters: string[] = [];
  #inputs = 0;

  /** The next model's tensor. */
  input(): Expression {
    return this.#add({ op: "input", args: [], value: this.#inputs++ });
  }

  /** A number that is known only per tensor. `name` says what it is, for messages. */
  parameter(name: string): Expression {
    this.#parameters.push(name);
    return this.#add({ op: "parameter", args: [], value: this.#parameters.length - 1 });
  }

  constant(value: number): Expression {
    return this.#add({ op: "constant", args: [], value });
  }

  count(scope: Scope): Expression {
    return this.#add({ op: "count", args: [], value: 0, scope });
  }

  uniform(stream: number): Expression {
    return this.#add({ op: "uniform", args: [], value: stream });
  }

  lift(operand: Operand): Expression {
    return typeof operand === "number" ? this.constant(operand) : operand;
  }

  node(op: Operator, args: readonly Expression[], scope?: Scope): Expression {
    this.#assertKinds(op, args);
    return this.#add({ op, args: args.map((arg) => arg.id), value: 0, ...(scope === undefined ? {} : { scope }) });
  }

  /** Takes in another program's nodes, with expressions of this graph for its inputs and parameters. */
  include(
    program: Program,
    given: {
      readonly input: (place: number) => Expression;
      readonly parameters: readonly Expression[];
      /** What the program's random stream 0 becomes. */
      readonly firstStream: number;
    },
  ): Expression {
    const included: Expression[] = [];
    const at = (list: readonly Expression[], place: number): Expression => {
      const found = list[place];
      if (found === undefined) throw new RangeError(`A program of ${program.nodes.length} nodes refers to ${place}`);
      return found;
    };
    for (const node of program.nodes) {
      if (node.op === "input") included.push(given.input(node.value));
      else if (node.op === "parameter") included.push(at(given.parameters, node.value));
      else if (node.op === "uniform") included.push(this.uniform(given.firstStream + node.value));
      else included.push(this.#add({ ...node, args: node.args.map((arg) => at(included, arg).id) }));
    }
    return at(included, program.output);
  }

  finish(output: Expression): Program {
    return { nodes: this.#nodes, output: output.id, inputs: this.#inputs, parameters: this.#parameters };
  }

  #add(node: Node): Expression {
    const key = JSON.stringify([node.op, node.args, Object.is(node.value, -0) ? "-0" : String(node.value), node.scope]);
    let id = this.#known.get(key);
    if (id === undefined) {
      id = this.#nodes.push(node) - 1;
      this.#known.set(key, id);
    }
    return new Expression(this, id);
  }

  /** A mask where a number belongs, or the reverse, is a mistake in a method: say so where the method is written. */
  #assertKinds(op: Operator, args: readonly Expression[]): void {
    const masksWanted = op === "and" || op === "or" ? args.length : op === "select" ? 1 : 0;
    args.forEach((arg, position) => {
      const given = this.#nodes[arg.id];
      if (given !== undefined && isMask(given.op) !== position < masksWanted) {
        throw new TypeError(
          `Argument ${position + 1} of "${op}" must be a ${position < masksWanted ? "mask" : "number"}`,
        );
      }
    });
  }
}

/** The sum of several expressions, added from left to right. */
export function sum(terms: readonly Expression[]): Expression {
  const [first, ...rest] = terms;
  if (first === undefined) throw new TypeError("Cannot sum nothing");
  return rest.reduce((total, term) => total.plus(term), first);
}

/** `then` where the mask holds, `otherwise` elsewhere. */
export function where(mask: Expression, then: Operand, otherwise: Operand): Expression {
  return mask.choose(then, otherwise);
}

/** The inner product of two tensors (or of their rows), summed in f64. */
export function dot(a: Expression, b: Expression, scope: Scope): Expression {
  return a.times(b).sumOver(scope);
}

/** The Euclidean norm. */
export function norm(x: Expression, scope: Scope): Expression {
  return dot(x, x, scope).sqrt();
}
