import { extentsOf, isReduction, type NodeId, nodeAt, type Program, reachable } from "./program.js";

/**
 * How a program is run over the data: some passes that only gather statistics, then one pass that writes the output.
 * A pass reads every element once; what it gathers is known to all later passes.
 */
export interface Schedule {
  readonly statistics: readonly StatisticsPass[];
  /** Length of the vector that holds every statistic gathered so far; see {@link Gather.slot}. */
  readonly slots: number;
  /** Some reduction runs over rows, so work is cut at row boundaries and every reduction is blocked by row. */
  readonly rowwise: boolean;
  /** Some reduction runs over the whole model, so its passes need all tensors before the next one can start. */
  readonly modelwide: boolean;
}

export interface StatisticsPass {
  readonly gathers: readonly Gather[];
}

/**
 * One thing that a pass gathers. The k-th magnitude takes two passes: the first counts magnitudes by their upper 15
 * bits, the second counts the lower 16 bits of those that fall where the k-th lies. Exact, and nothing is sorted.
 */
export interface Gather {
  readonly kind: "sum" | "largest" | "upperBits" | "lowerBits";
  /** The reduction's node. */
  readonly node: NodeId;
  readonly scope: "tensor" | "model";
  /** Where its result goes in the statistics vector: one number, or for `upperBits` two (the bits, the rank left). */
  readonly slot: number;
}

export function schedule(program: Program): Schedule {
  const passes: Gather[][] = [];
  let slots = 0;
  const gather = (pass: number, kind: Gather["kind"], node: NodeId, scope: "tensor" | "model"): void => {
    while (passes.length <= pass) passes.push([]);
    passes[pass]?.push({ kind, node, scope, slot: slots });
    slots += kind === "upperBits" ? 2 : 1;
  };

  const needed = reachable(program, [program.output]);
  const knownFrom = new Map<NodeId, number>();
  for (const id of needed) {
    const node = nodeAt(program, id);
    const argumentsKnown = Math.max(0, ...node.args.map((arg) => knownFrom.get(arg) ?? 0));
    if (!isReduction(node.op) || node.scope === "row" || node.scope === undefined) {
      knownFrom.set(id, argumentsKnown);
    } else if (node.op === "kthMagnitude") {
      gather(argumentsKnown, "upperBits", id, node.scope);
      gather(argumentsKnown + 1, "lowerBits", id, node.scope);
      knownFrom.set(id, argumentsKnown + 2);
    } else {
      gather(argumentsKnown, node.op, id, node.scope);
      knownFrom.set(id, argumentsKnown + 1);
    }
  }
  const scopes = new Set(needed.map((id) => nodeAt(program, id)).map((n) => (isReduction(n.op) ? n.scope : undefined)));
  return {
    statistics: passes.map((gathers) => ({ gathers })),
    slots,
    rowwise: scopes.has("row"),
    modelwide: scopes.has("model"),
  };
}

/**
 * The row reductions that `targets` need, in groups: each group needs only the groups before it, so a row is read once
 * per group. Row values are recomputed in every pass that uses them; a row sits in cache, so that is cheaper than
 * storing a number per row of the whole model.
 */
export function rowGroups(program: Program, targets: readonly NodeId[]): readonly (readonly NodeId[])[] {
  const isKnownBefore = (id: NodeId): boolean => {
    const node = nodeAt(program, id);
    return isReduction(node.op) && node.scope !== "row";
  };
  const depth = new Map<NodeId, number>();
  const groups: NodeId[][] = [];
  for (const id of reachable(program, targets, isKnownBefore)) {
    const node = nodeAt(program, id);
    const below = isKnownBefore(id) ? 0 : Math.max(0, ...node.args.map((arg) => depth.get(arg) ?? 0));
    const isRowReduction = isReduction(node.op) && node.scope === "row";
    depth.set(id, isRowReduction ? below + 1 : below);
    if (isRowReduction) {
      while (groups.length <= below) groups.push([]);
      groups[below]?.push(id);
    }
  }
  return groups;
}

/** The element expressions a pass evaluates: what its gathers reduce. */
export function targetsOf(program: Program, pass: StatisticsPass): readonly NodeId[] {
  return pass.gathers.map((gather) => argumentOf(program, gather.node));
}

/** What a reduction reduces. */
export function argumentOf(program: Program, reduction: NodeId): NodeId {
  const [argument] = nodeAt(program, reduction).args;
  if (argument === undefined) throw new RangeError(`Node ${reduction} has no argument`);
  return argument;
}

/** Rejects what no backend runs: transcendental functions of elements, and the k-th magnitude of a row. */
export function assertRunnable(program: Program): void {
  const extents = extentsOf(program.nodes);
  program.nodes.forEach((node, id) => {
    if ((node.op === "acos" || node.op === "sin") && extents[id] === "element") {
      throw new TypeError(`"${node.op}" of every element is not supported: reduce it to a row or a tensor first`);
    }
    if (node.op === "kthMagnitude" && node.scope === "row") {
      throw new TypeError('"kthMagnitude" has tensor or model scope');
    }
  });
  if (extents[program.output] !== "element") throw new TypeError("A method's output must have a value per element");
}
