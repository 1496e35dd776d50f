import type { NodeProto, ValueInfoProto } from "../gen/onnx/onnx_pb.js";
import { makeNode } from "./tensors.js";

/**
 * Where a table is cast whole only for rows of it to be looked up, casts the rows instead: a 16-bit embedding of a large
 * vocabulary is then never copied. Values do not change. `casts` are names that nodes made by a Cast have; those that
 * anything but a lookup reads are left as they are.
 */
export function castAfterLookup(
  nodes: readonly NodeProto[],
  outputs: readonly ValueInfoProto[],
  casts: ReadonlySet<string>,
): NodeProto[] {
  const looked = new Set<string>();
  const readOtherwise = new Set(outputs.map(({ name }) => name));
  for (const node of nodes) {
    for (const [i, name] of node.input.entries()) (i === 0 && isRowLookup(node) ? looked : readOtherwise).add(name);
    for (const name of namesInside(node)) readOtherwise.add(name);
  }
  const tables = new Map<string, NodeProto>();
  for (const node of nodes) {
    const [output = ""] = node.output;
    if (casts.has(output) && looked.has(output) && !readOtherwise.has(output)) tables.set(output, node);
  }
  const moved = new Set(tables.values());
  return nodes.filter((node) => !moved.has(node)).flatMap((node) => lookUpThenCast(node, tables));
}

/** A Gather along the first dimension. */
function isRowLookup({ opType, domain, attribute }: NodeProto): boolean {
  return opType === "Gather" && domain === "" && (attribute.find(({ name }) => name === "axis")?.i ?? 0n) === 0n;
}

/** What the branches and loops inside a node read; they see the names outside. */
function namesInside({ attribute }: NodeProto): readonly string[] {
  const graphs = attribute.flatMap(({ g }) => (g === undefined ? [] : [g]));
  return graphs.flatMap(({ node, output }) => [
    ...node.flatMap((inner) => [...inner.input, ...namesInside(inner)]),
    ...output.map(({ name }) => name),
  ]);
}

function lookUpThenCast(node: NodeProto, tables: ReadonlyMap<string, NodeProto>): readonly NodeProto[] {
  const [table = "", ...others] = node.input;
  const [output = ""] = node.output;
  const cast = tables.get(table);
  const [stored] = cast?.input ?? [];
  if (cast === undefined || stored === undefined) return [node];
  const rows = `${output}/stored`;
  const to = Number(cast.attribute.find(({ name }) => name === "to")?.i ?? 0n);
  return [makeNode("Gather", [stored, ...others], rows, { axis: 0 }), makeNode("Cast", [rows], output, { to })];
}
