import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";
import { linear } from "../blocks/linear.js";
import type { Mlp } from "./decoder.js";
import { type Gated, gated } from "./mlp.js";

/** A layer of experts, of which a router asks a few for each token (Shazeer et al., 2017; Jiang et al., 2024). */
export interface Mixture {
  /** Of the router and all experts within a layer, as in `mlp`. */
  readonly name: string;
  readonly experts: number;
  /** How many of them each token is given to. */
  readonly chosen: number;
  /** Whether the shares of those that are chosen are made to add up to one. */
  readonly normalizes: boolean;
  /** What each expert is: `<name>.experts.<number>`. */
  readonly expert: Gated;
  /** One more, that sees every token, behind a gate of its own. */
  readonly shared?: Gated;
}

/**
 * Each token's sum of what its experts make of it, weighted by the router's shares. Tokens are sorted by expert and cut, so
 * that an expert computes nothing for the tokens of others, and nothing at all where it has none.
 */
export function mixture(of: Mixture): Mlp {
  return (g, x, layer) => {
    const name = `${layer}.${of.name}`;
    const { experts, shares } = route(g, x, `${name}.gate`, of);
    const answers = ask(g, x, experts, name, of);
    // [tokens, 1, chosen] by [tokens, chosen, width]
    const one = g.constant("INT64", [1]);
    const mixed = g.op("Squeeze", [g.op("MatMul", [g.op("Unsqueeze", [shares, one]), answers]), one]);
    return of.shared === undefined ? mixed : g.op("Add", [mixed, sharedExpert(g, x, name, of.shared)]);
  };
}

/** The experts of each token, INT64, and their shares, FLOAT: both [tokens, chosen]. */
function route(g: GraphBuilder, x: Value, name: string, { experts: count, chosen, normalizes, expert }: Mixture) {
  const scores = linear(g, x, { name, in: expert.width, out: count });
  const likely = g.op("Softmax", [scores], { axis: -1 });
  const [largest = likely, experts = likely] = g.ops("TopK", [likely, g.constant("INT64", [chosen])], 2);
  const sum = () => g.op("ReduceSum", [largest, g.constant("INT64", [1])]);
  return { experts, shares: normalizes ? g.op("Div", [largest, sum()]) : largest };
}

/** What the `experts` of each token, [tokens, chosen], make of it: [tokens, chosen, width]. */
function ask(g: GraphBuilder, x: Value, experts: Value, name: string, { experts: count, chosen, expert }: Mixture) {
  const asked = g.op("Reshape", [experts, g.constant("INT64", [-1])]);
  const order = argsort(g, asked);
  const tokens = g.op("Div", [order, g.constant("INT64", chosen)]);
  const none = g.constant(
    "INT64",
    Array.from({ length: count }, () => 0),
  );
  const ones = g.op("Expand", [g.constant("INT64", 1), g.op("Shape", [asked])]);
  const rows = g.op("ScatterElements", [none, asked, ones], { reduction: "add" });
  const sorted = g.op("Gather", [x, tokens]);
  const answers = apart(g, sorted, () => {
    const parts = g.ops("Split", [sorted, rows], count, { axis: 0 });
    const ofEach = parts.map((part, i) => gated(g, part, `${name}.experts.${i}`, expert));
    return g.op("Concat", ofEach, { axis: 0 });
  });
  const unsorted = g.op("Gather", [answers, argsort(g, order)]);
  return g.op("Reshape", [unsorted, g.constant("INT64", [-1, chosen, expert.width])]);
}

/**
 * Computes in a graph of its own, from `rows` of which there is at least one. ONNX Runtime plans the buffers of a graph in a
 * time that grows with the square of its nodes: for 1,024 experts 10 s, and 2 s with a graph for each layer.
 */
function apart(g: GraphBuilder, rows: Value, compute: () => Value): Value {
  const hasRows = g.op("Greater", [g.op("Size", [rows]), g.constant("INT64", 0)]);
  return g.branch(hasRows, compute, () => g.op("Identity", [rows]));
}

/** The places of a list's numbers, smallest first; of a permutation, its inverse. INT64. */
function argsort(g: GraphBuilder, list: Value): Value {
  const [, places = list] = g.ops("TopK", [list, g.op("Shape", [list])], 2, { axis: 0, largest: 0 });
  return places;
}

function sharedExpert(g: GraphBuilder, x: Value, name: string, expert: Gated): Value {
  const gate = linear(g, x, { name: `${name}.shared_expert_gate`, in: expert.width, out: 1 });
  return g.op("Mul", [g.op("Sigmoid", [gate]), gated(g, x, `${name}.shared_expert`, expert)]);
}
