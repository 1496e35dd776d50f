import { type GatherKind, isUpperCount } from "./order-statistics.js";
import { extentsOf, isOrderStatistic, isReduction, type NodeId, nodeAt, type Program, reachable } from "./program.js";

/**
 * How a program is run over the data: some passes that only gather statistics, then one pass that writes the output.
 * A pass reads every element once; what it gathers is known to all later passes.
 */
export interface Schedule {
  readonly statistics: readonly StatisticsPass[];
  /** Length of the vector that holds every statistic gathered so far; see {@link Gather.slot}. */
  readonly slots: number;
  /** Some value depends on its row, so work is cut at row boundaries and every reduction is blocked by row. */
  readonly rowwise: boolean;
  /** Some reduction runs over columns, so a tensor is not cut at all. */
  readonly columnwise: boolean;
  /** Some reduction runs over the whole model, so its passes need all tensors before the next one can start. */
  readonly modelwide: boolean;
  /** What kernels get ready-made, in dependency order; see {@link isPrepared}. */
  readonly prepared: readonly NodeId[];
}

export interface StatisticsPass {
  /** What travels: one partial result each, which may be of a part of a tensor. */
  readonly gathers: readonly Gather[];
  /** Sums over columns. They stay with the worker, which has the whole tensor. */
  readonly columnSums: readonly NodeId[];
}

/**
 * One thing that a pass gathers. An order statistic takes two passes: the first counts elements by the upper bits of
 * their key (see order-statistics.ts), the second counts the lower 16 bits of those that fall where the k-th lies. Exact, and
 * nothing is sorted.
 */
export interface Gather {
  readonly kind: GatherKind;
  /** The reduction's node. */
  readonly node: NodeId;
  readonly scope: "tensor" | "model";
  /** Where its result goes in the statistics vector: one number, or for upper counts two (the bits, the rank left). */
  readonly slot: number;
}

/** Length of what a gather leaves in the statistics vector. */
export function slotsOf(kind: Gather["kind"]): number {
  return isUpperCount(kind) ? 2 : 1;
}

export function schedule(program: Program): Schedule {
  const passes: { gathers: Gather[]; columnSums: NodeId[] }[] = [];
  let slots = 0;
  const passAt = (pass: number): (typeof passes)[number] | undefined => {
    while (passes.length <= pass) passes.push({ gathers: [], columnSums: [] });
    return passes[pass];
  };
  const gather = (pass: number, kind: Gather["kind"], node: NodeId, scope: "tensor" | "model"): void => {
    passAt(pass)?.gathers.push({ kind, node, scope, slot: slots });
    slots += slotsOf(kind);
  };

  const needed = reachable(program, [program.output]);
  const knownFrom = new Map<NodeId, number>();
  for (const id of needed) {
    const node = nodeAt(program, id);
    const argumentsKnown = Math.max(0, ...node.args.map((arg) => knownFrom.get(arg) ?? 0));
    if (!isReduction(node.op) || node.scope === "row" || node.scope === undefined) {
      knownFrom.set(id, argumentsKnown);
    } else if (node.scope === "column") {
      passAt(argumentsKnown)?.columnSums.push(id);
      knownFrom.set(id, argumentsKnown + 1);
    } else if (isOrderStatistic(node.op)) {
      const isSigned = node.op === "kthLargest";
      gather(argumentsKnown, isSigned ? "upperOrder" : "upperBits", id, node.scope);
      gather(argumentsKnown + 1, isSigned ? "lowerOrder" : "lowerBits", id, node.scope);
      knownFrom.set(id, argumentsKnown + 2);
    } else {
      gather(argumentsKnown, node.op, id, node.scope);
      knownFrom.set(id, argumentsKnown + 1);
    }
  }
  const scopes = scopesOf(program, needed);
  const prepared = preparedAmong(program, needed);
  return {
    statistics: passes,
    slots,
    rowwise: scopes.has("row") || needed.some((id) => nodeAt(program, id).op === "rankInRow"),
    columnwise: scopes.has("column"),
    modelwide: scopes.has("model"),
    prepared,
  };
}

/** What the reductions among these nodes run over. */
function scopesOf(program: Program, ids: Iterable<NodeId>): ReadonlySet<string | undefined> {
  const nodes = [...ids].map((id) => nodeAt(program, id));
  return new Set(nodes.filter(({ op }) => isReduction(op)).map(({ scope }) => scope));
}

/**
 * Whether a node's elements come to a kernel ready-made, like another input in f32: they depend on more than the element
 * at hand (its rank), or are the same in every row (column values).
 */
export function isPrepared(program: Program): (id: NodeId) => boolean {
  const extents = extentsOf(program.nodes);
  return (id) => extents[id] === "column" || nodeAt(program, id).op === "rankInRow";
}

/** Of the column values only those that an element or a reduction meets; the others stay between themselves. */
function preparedAmong(program: Program, needed: readonly NodeId[]): readonly NodeId[] {
  const extents = extentsOf(program.nodes);
  const met = new Set<NodeId>();
  for (const id of needed) {
    const { op, args } = nodeAt(program, id);
    if (extents[id] !== "column" || isReduction(op)) for (const arg of args) met.add(arg);
  }
  return needed.filter(isPrepared(program)).filter((id) => met.has(id));
}

/**
 * The row reductions and ranks that `targets` need, in groups: each group needs only the groups before it, so a row is
 * read once per group (and once more per rank). Row values are recomputed in every pass that uses them; a row sits in cache, so that is cheaper than
 * storing a number per row of the whole model.
 */
export function rowGroups(
  program: Program,
  targets: readonly NodeId[],
  isKnown: (id: NodeId) => boolean = () => false,
): readonly (readonly NodeId[])[] {
  const isKnownBefore = (id: NodeId): boolean => {
    const node = nodeAt(program, id);
    return isKnown(id) || (isReduction(node.op) && node.scope !== "row");
  };
  const depth = new Map<NodeId, number>();
  const groups: NodeId[][] = [];
  for (const id of reachable(program, targets, isKnownBefore)) {
    const node = nodeAt(program, id);
    const below = isKnownBefore(id) ? 0 : Math.max(0, ...node.args.map((arg) => depth.get(arg) ?? 0));
    const needsRow = node.op === "rankInRow" || (isReduction(node.op) && node.scope === "row");
    depth.set(id, needsRow ? below + 1 : below);
    if (needsRow) {
      while (groups.length <= below) groups.push([]);
      groups[below]?.push(id);
    }
  }
  return groups;
}

/**
 * For each gather the first that finds the same: order statistics of one expression start from the same counts, whatever
 * ranks they ask for.
 */
export function sharedGathers(program: Program, gathers: readonly Gather[]): readonly Gather[] {
  const first = new Map<string, Gather>();
  return gathers.map((gather) => {
    const what = isUpperCount(gather.kind)
      ? `${gather.kind} ${argumentOf(program, gather.node)}`
      : `${gather.kind} of ${gather.node}`;
    const same = first.get(what) ?? gather;
    first.set(what, same);
    return same;
  });
}

/** The element expressions a pass evaluates: what its gathers reduce, then what its column sums do. */
export function targetsOf(program: Program, { gathers, columnSums }: StatisticsPass): readonly NodeId[] {
  return [...gathers.map(({ node }) => node), ...columnSums].map((node) => argumentOf(program, node));
}

/** What a reduction reduces, or a rank ranks. */
export function argumentOf(program: Program, reduction: NodeId): NodeId {
  const [argument] = nodeAt(program, reduction).args;
  if (argument === undefined) throw new RangeError(`Node ${reduction} has no argument`);
  return argument;
}

const trigonometric: ReadonlySet<string> = new Set(["acos", "sin", "cos"]);

/**
 * Rejects what no backend runs: trigonometric functions of elements, reductions over scopes that they do not have, and
 * values that differ by column together with values that differ by row or need other tensors.
 */
export function assertRunnable(program: Program): void {
  const extents = extentsOf(program.nodes);
  program.nodes.forEach((node, id) => {
    if (trigonometric.has(node.op) && extents[id] === "element") {
      throw new TypeError(`"${node.op}" of every element is not supported: reduce it to a row or a tensor first`);
    }
    if (isOrderStatistic(node.op) && node.scope !== "tensor" && node.scope !== "model") {
      throw new TypeError(`"${node.op}" has tensor or model scope`);
    }
    if (node.op === "largest" && node.scope === "column") throw new TypeError('"largest" has no column scope');
  });
  const { rowwise, columnwise, modelwide } = schedule(program);
  if (columnwise && (rowwise || modelwide)) {
    throw new TypeError(`A program with values per column cannot have values per row or of the whole model`);
  }
  if (extents[program.output] !== "element") throw new TypeError("A method's output must have a value per element");
}
