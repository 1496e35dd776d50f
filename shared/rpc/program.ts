import { AmalgamError } from "../errors.js";
import { assertRunnable } from "../expression/passes.js";
import {
  binaryOperators,
  comparisons,
  extentsOf,
  isMask,
  isOrderStatistic,
  isReduction,
  maskOperators,
  type Node,
  type Operator,
  operators,
  type Program,
  rowOperators,
  type Scope,
  unaryOperators,
} from "../expression/program.js";
import type { Program as ProgramMessage, ProgramNode, Scope as WireScope } from "../gen/amalgam/v1/program_pb.js";
import { quote } from "../quote.js";

/**
 * Limits for programs from the network. Karcher's mean of ten models takes 6,582 nodes in its ten steps, and 60,942 in
 * a hundred; every other method has under 1,000 for as many models.
 */
export const programLimits = { nodes: 65_536, inputs: 256, parameters: 4_096, parameterName: 1_024 } as const;

/** As numbers, which the compiler holds to the contract: a worker that reads programs need not load what writes messages. */
export const wireScopes = {
  row: 1 satisfies WireScope.ROW,
  column: 4 satisfies WireScope.COLUMN,
  tensor: 2 satisfies WireScope.TENSOR,
  model: 3 satisfies WireScope.MODEL,
} as const satisfies Record<Scope, WireScope>;

/**
 * A program that came over the network. Whatever this returns, every backend can run: operators are known, arguments
 * stand before their node and are of the right kind, and indices are in range.
 */
export function programFromProto(message: ProgramMessage): Program {
  const { output, inputs, parameters } = message;
  atMost("nodes", message.nodes.length, programLimits.nodes);
  atMost("inputs", inputs, programLimits.inputs);
  atMost("parameters", parameters.length, programLimits.parameters);
  for (const name of parameters) atMost("characters in a parameter's name", name.length, programLimits.parameterName);

  const nodes: Node[] = [];
  for (const node of message.nodes) nodes.push(checkedNode(node, nodes, { inputs, parameters: parameters.length }));
  if (nodes[output] === undefined) throw refused(`its output is node ${output} of ${nodes.length}`);
  const program = { nodes, output, inputs, parameters: [...parameters] };
  assertRunnableHere(program);
  return program;
}

/** The node that comes after `before`. */
function checkedNode(
  { op, args, value, scope }: ProgramNode,
  before: readonly Node[],
  bounds: { readonly inputs: number; readonly parameters: number },
): Node {
  const refuse = (reason: string): AmalgamError => refused(`node ${before.length} (${quote(op)}) ${reason}`);
  if (!isOperator(op)) throw refuse("has an operator that this agent does not know");
  const wanted = arityOf(op);
  if (args.length !== wanted) throw refuse(`has ${args.length} arguments, not ${wanted}`);
  for (const [position, arg] of args.entries()) {
    const given = before[arg];
    if (given === undefined) throw refuse(`has argument ${arg}, which does not stand before it`);
    const kind = isIn(maskOperators, op) || (op === "select" && position === 0) ? "mask" : "number";
    if (isMask(given.op) !== (kind === "mask")) throw refuse(`needs a ${kind} as argument ${position + 1}`);
  }
  const bound = op === "input" ? bounds.inputs : op === "parameter" ? bounds.parameters : programLimits.nodes;
  const isIndex = op === "input" || op === "parameter" || op === "uniform";
  if (isIndex && !(Number.isInteger(value) && value >= 0 && value < bound)) throw refuse(`has the value ${value}`);
  const scoped = scopeOf(scope);
  if ((op === "count" || isReduction(op)) !== (scoped !== undefined)) throw refuse(`has scope ${scope}`);
  return { op, args: [...args], value, ...(scoped === undefined ? {} : { scope: scoped }) };
}

function assertRunnableHere(program: Program): void {
  const { nodes, output } = program;
  const extents = extentsOf(nodes);
  nodes.forEach(({ op, args }, id) => {
    const rank = args[1];
    if (isOrderStatistic(op) && (rank === undefined || extents[rank] !== "scalar")) {
      throw refused(`node ${id} (${quote(op)}) has a rank that is not one number`);
    }
  });
  if (isMask(nodes[output]?.op ?? "less")) throw refused(`its output, node ${output}, is a mask`);
  try {
    assertRunnable(program);
  } catch (error) {
    throw refused(error instanceof Error ? error.message : String(error));
  }
}

function isOperator(op: string): op is Operator {
  return isIn(operators, op);
}

function isIn(words: readonly string[], word: string): boolean {
  return words.includes(word);
}

function arityOf(op: Operator): number {
  if (isIn(unaryOperators, op) || isIn(rowOperators, op) || op === "sum" || op === "largest") return 1;
  if (isIn(binaryOperators, op) || isIn(comparisons, op) || isIn(maskOperators, op) || isOrderStatistic(op)) return 2;
  return op === "select" ? 3 : 0;
}

function scopeOf(scope: WireScope): Scope | undefined {
  return (Object.keys(wireScopes) as Scope[]).find((name) => wireScopes[name] === scope);
}

function atMost(what: string, count: number, limit: number): void {
  if (count > limit) throw refused(`it has ${count} ${what}, above the limit of ${limit}`);
}

function refused(reason: string): AmalgamError {
  return new AmalgamError("usage", `Cannot run a program: ${reason}`);
}
