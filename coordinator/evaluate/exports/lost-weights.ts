import type { Checkpoint } from "../../../shared/checkpoint/open.js";
import { AmalgamError } from "../../../shared/errors.js";
import { TensorProto_DataType as DataType } from "../../../shared/gen/onnx/onnx_pb.js";
import { formatCount, quote, quoteList } from "../../../shared/quote.js";
import { elementsOf } from "../../../shared/shape.js";
import { explain } from "./explain.js";
import { isUniform, type Numbers } from "./numbers.js";
import type { Rest } from "./search.js";

/** An initializer of at least two dimensions and so many elements is a weight, not a constant. */
const weightElements = 1024;
/** Nobody reads past the first few. */
const maxListed = 20;

/**
 * An initializer that was not found may still hold a weight, changed. It cannot when every tensor is in the export anyway;
 * else it may if it is large, or as wide as a tensor that is missing.
 */
export async function refuseLost(
  exportPath: string,
  base: Checkpoint,
  rest: readonly Rest[],
  unused: readonly Numbers[],
): Promise<void> {
  if (unused.length === 0) return;
  const widths = new Set(unused.map(({ shape }) => shape.at(-1) ?? 1));
  const problems: string[] = [];
  for (const { name, shape, dataType, numbers } of rest) {
    const isLarge = shape.length >= 2 && elementsOf(shape) >= weightElements;
    const isQuantized = dataType === DataType.INT8 || dataType === DataType.UINT8;
    const width = shape.at(-1) ?? 1;
    const mayBeWeight = numbers === undefined ? isLarge && isQuantized : isLarge || (width > 1 && widths.has(width));
    if (!mayBeWeight) continue;
    const why = numbers === undefined ? "quantized" : await explain(numbers, unused);
    // Masks and the like are constants, unless they equal a weight.
    if (why === undefined && numbers !== undefined && (await isUniform(numbers))) continue;
    problems.push(`  ${quote(name)} [${shape.join(", ")}]${why === undefined ? "" : `: ${why}`}`);
  }
  if (problems.length === 0) return;
  const lines = problems.slice(0, maxListed);
  if (problems.length > maxListed) lines.push(`  and ${formatCount(problems.length - maxListed)} more`);
  const without = `${formatCount(problems.length)} of its weights equal no tensor of base ${quote(base.directory)}`;
  const names = quoteList(unused.map(({ name }) => name));
  const advice = "Export it from this base, in its element type, without folding, fixed sizes or quantization";
  const message = `Cannot bind ${quote(exportPath)}, ${without}:\n${lines.join("\n")}\nTensors that are not in it: ${names}. ${advice}`;
  throw new AmalgamError("checkpoint_mismatch", message, { details: { file: exportPath, checkpoint: base.directory } });
}
