import type { BuiltGraph, Value } from "../../../shared/onnx/graph-builder.js";
import { GraphBuilder } from "../../../shared/onnx/graph-builder.js";

/** A linear layer over the vocabulary, without a bias. */
export interface LanguageHead {
  /** The weight's whole name, [vocabulary, width]: an embedding's where the two are tied. */
  readonly weight: string;
  readonly vocabulary: number;
  readonly width: number;
  /** Multiplies hidden states first. @default 1 */
  readonly scale?: number;
  /** c of c · tanh(logits / c). @default 0, for none */
  readonly softcap?: number;
}

/**
 * The graph `head` of ModelGraphs: log-probabilities and best tokens for the rows that are asked for, so that logits are
 * only ever held for those. Of equally likely tokens the first is best.
 */
export function buildHead(head: LanguageHead): BuiltGraph {
  const g = new GraphBuilder("head");
  const hidden = g.input("hidden", "FLOAT", ["rows", head.width]);
  const targets = g.input("targets", "INT64", ["rows"]);
  const logits = logitsOf(g, hidden, head);
  const column = g.constant("INT64", [1]);
  const chosen = g.op("GatherElements", [logits, g.op("Unsqueeze", [targets, column])], { axis: 1 });
  // log softmax(x)ᵢ = xᵢ − log Σ exp(x), whose sum the operator takes after subtracting the largest.
  const total = g.op("ReduceLogSumExp", [logits, column], { keepdims: 1 });
  g.output("logprobs", g.op("Squeeze", [g.op("Sub", [chosen, total]), column]), "FLOAT", ["rows"]);
  g.output("best", g.op("ArgMax", [logits], { axis: 1, keepdims: 0 }), "INT64", ["rows"]);
  return g.build();
}

function logitsOf(g: GraphBuilder, hidden: Value, { weight, vocabulary, width, scale = 1, softcap = 0 }: LanguageHead) {
  const scaled = scale === 1 ? hidden : g.op("Mul", [hidden, g.constant("FLOAT", scale)]);
  const logits = g.op("Gemm", [scaled, g.weight(weight, [vocabulary, width])], { transB: 1 });
  if (softcap === 0) return logits;
  const cap = g.constant("FLOAT", softcap);
  return g.op("Mul", [g.op("Tanh", [g.op("Div", [logits, cap])]), cap]);
}
