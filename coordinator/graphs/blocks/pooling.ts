import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";
import type { Pooling } from "../types.js";

/** Keeps a vector of zeros one, as torch.nn.functional.normalize does. */
const smallestLength = 1e-12;

/**
 * One vector per example: `hidden` [batch, time, width] and `mask` [batch, time] of INT64, 1 where there is a token, to
 * [batch, width]. `mean` is over tokens, `cls` and `last` are the first and the last token, whichever side padding is on
 * (Reimers and Gurevych, 2019, section 3). `pooler` is the model's own layer on the first token.
 */
export function pool(
  g: GraphBuilder,
  hidden: Value,
  mask: Value,
  { mode, normalize }: Pooling,
  pooler?: (first: Value) => Value,
): Value {
  const vectors = poolBy(g, hidden, mask, mode, pooler);
  return normalize ? normalizeVectors(g, vectors) : vectors;
}

/** The hidden state of each example's first token, or of its last: [batch, time, width] to [batch, width]. */
export function tokenState(g: GraphBuilder, hidden: Value, mask: Value, which: "first" | "last"): Value {
  const tokens = g.op("Cast", [mask], { to: 6 });
  const place = g.op("ArgMax", [tokens], { axis: 1, keepdims: 1, select_last_index: which === "last" ? 1 : 0 });
  return g.op("GatherND", [hidden, place], { batch_dims: 1 });
}

/** Vectors of any shape, scaled to length 1 along the last axis. */
export function normalizeVectors(g: GraphBuilder, vectors: Value): Value {
  const length = g.op("ReduceL2", [vectors, g.constant("INT64", [-1])]);
  return g.op("Div", [vectors, g.op("Max", [length, g.constant("FLOAT", smallestLength)])]);
}

function poolBy(
  g: GraphBuilder,
  hidden: Value,
  mask: Value,
  mode: Pooling["mode"],
  pooler: ((first: Value) => Value) | undefined,
): Value {
  switch (mode) {
    case "mean":
      return meanOfTokens(g, hidden, mask);
    case "cls":
      return tokenState(g, hidden, mask, "first");
    case "last":
      return tokenState(g, hidden, mask, "last");
    case "pooler":
      if (pooler === undefined) throw new RangeError("The model has no pooler");
      return pooler(tokenState(g, hidden, mask, "first"));
  }
}

function meanOfTokens(g: GraphBuilder, hidden: Value, mask: Value): Value {
  const weights = g.op("Cast", [g.op("Unsqueeze", [mask, g.constant("INT64", [2])])], { to: 1 });
  const time = g.constant("INT64", [1]);
  const sum = g.op("ReduceSum", [g.op("Mul", [hidden, weights]), time], { keepdims: 0 });
  const count = g.op("ReduceSum", [weights, time], { keepdims: 0 });
  // A row without tokens fills up a batch; it must not become NaN.
  return g.op("Div", [sum, g.op("Max", [count, g.constant("FLOAT", 1)])]);
}
