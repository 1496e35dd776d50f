import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";
import { type BatchSizes, masked } from "./attention.js";

/**
 * What a decoder's inputs say about time. Tokens lie in slots: `past` of them are in the cache, and `time` are new. A
 * slot of padding holds no token, at either side of the text.
 */
export interface Slots {
  /** 1 where a slot holds a token: [batch, past + time] INT64. */
  readonly mask: Value;
  /** All slots by number: [past + time] INT64. */
  readonly keys: Value;
  /** Those of the new tokens: [time] INT64. */
  readonly queries: Value;
  /** The new tokens' places in their text, from 0; that of padding means nothing: [batch, time] INT64. */
  readonly positions: Value;
}

/** `mask` is [batch, past + time], and `time` a one-element list, as that of the new tokens. */
export function slotsOf(g: GraphBuilder, mask: Value, { time }: Pick<BatchSizes, "time">): Slots {
  const [zero, one] = [g.constant("INT64", 0), g.constant("INT64", 1)];
  const all = g.op("Shape", [mask], { start: 1, end: 2 });
  const past = g.op("Sub", [all, time]);
  const keys = g.op("Range", [zero, g.op("Squeeze", [all]), one]);
  const queries = g.op("Slice", [keys, past, all]);
  // Only padding before the first token comes out at −1.
  const places = g.op("Max", [g.op("Sub", [g.op("CumSum", [mask, one]), one]), zero]);
  const positions = g.op("Slice", [places, past, all, g.constant("INT64", [1])]);
  return { mask, keys, queries, positions };
}

/**
 * What is added to the scores of a decoder, [batch, 1, time, past + time]: 0 where a query may see a key, that is, for
 * tokens at or before its own, and {@link masked} elsewhere. With a window, only the last `window` of those count, the
 * query's own among them.
 */
export function causalBias(g: GraphBuilder, { mask, keys, queries }: Slots, window?: number): Value {
  const later = g.op("Unsqueeze", [queries, g.constant("INT64", [1])]);
  const isBefore = g.op("LessOrEqual", [keys, later]);
  const isNear =
    window === undefined ? undefined : g.op("Less", [g.op("Sub", [later, keys]), g.constant("INT64", window)]);
  const isInSight = isNear === undefined ? isBefore : g.op("And", [isBefore, isNear]);
  const isToken = g.op("Cast", [g.op("Unsqueeze", [mask, g.constant("INT64", [1, 2])])], { to: 9 });
  return g.op("Where", [g.op("And", [isToken, isInSight]), g.constant("FLOAT", 0), g.constant("FLOAT", masked)]);
}
