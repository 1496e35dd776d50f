import type { GraphProto } from "../../../shared/gen/onnx/onnx_pb.js";

/**
 * What the names in a graph say about where an initializer belongs: its own, and those of the nodes that read it, such as
 * "/encoder/layer.0/attention/self/query/MatMul" for a weight that the exporter calls "onnx::MatMul_356".
 */
export function nameHints(graph: GraphProto): ReadonlyMap<string, readonly string[]> {
  const hints = new Map(graph.initializer.map(({ name }) => [name, [name]]));
  for (const { input, name } of graph.node) for (const read of input) hints.get(read)?.push(name);
  return hints;
}

/** Whether a name is another one with a prefix in front, as a wrapper around a model gives its weights. */
export function isSameName(initializer: string, tensor: string): boolean {
  return initializer === tensor || initializer.endsWith(`.${tensor}`) || tensor.endsWith(`.${initializer}`);
}

/** "bert.pooler.weight" → itself, "pooler.weight", "weight". */
export function endingsOf(name: string): readonly string[] {
  const parts = name.split(".");
  return parts.map((_, i) => parts.slice(i).join("."));
}

/** How much of a tensor's name is in the hints: the number of its words there, the same name above all. */
export function affinity(hints: readonly string[], tensor: string): number {
  const [own = ""] = hints;
  if (own === tensor) return Number.POSITIVE_INFINITY;
  if (isSameName(own, tensor)) return 1000;
  const words = new Set(hints.flatMap(wordsOf));
  return wordsOf(tensor).filter((word) => words.has(word)).length;
}

/** "encoder.layer.0.query.weight" → "encoder", "layer", "layer.0", "query", "weight": a number alone says nothing. */
function wordsOf(name: string): readonly string[] {
  const parts = name.split(/[./:]+/);
  return parts.map((part, i) => (/^\d+$/.test(part) ? `${parts[i - 1] ?? ""}.${part}` : part));
}
