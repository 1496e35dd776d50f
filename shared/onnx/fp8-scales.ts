import type { Checkpoint, CheckpointTensor } from "../checkpoint/open.js";
import { TensorProto_DataType as DataType } from "../gen/onnx/onnx_pb.js";
import { quote } from "../quote.js";
import { chain, type GraphPart, type Step, storedName } from "./chain.js";
import { type Reading, readingOf } from "./element-types.js";
import { type Place, storedTensor } from "./external-data.js";
import { indices } from "./tensors.js";

/** What an FP8 tensor is multiplied by, element by element. */
export interface Scale {
  readonly tensor: CheckpointTensor;
  readonly reading: Reading;
  /** The shape as which its numbers are read; it broadcasts to the weight's once blocks are repeated. */
  readonly shape: readonly number[];
  /** Of scales that hold for a block each: the sizes of the weight's last two dimensions, and of a block. */
  readonly blocks: { readonly sizes: readonly [number, number]; readonly block: readonly [number, number] } | undefined;
}

/** DeepSeek-V3's names for what is multiplied (in spite of "inv"), and compressed-tensors'. */
const suffixes = ["_scale_inv", "_scale"];

/**
 * The scales of an FP8 tensor: one number, one per row, one per block of `quantization_config.weight_block_size`
 * (128 × 128 by default, as in DeepSeek-V3), or a shape that broadcasts. Undefined when the checkpoint has none, which means
 * 1; a text when they do not fit.
 */
export function findScale(checkpoint: Checkpoint, { name, shape }: CheckpointTensor): Scale | string | undefined {
  const tensor = suffixes.map((suffix) => checkpoint.tensors.get(name + suffix)).find((found) => found !== undefined);
  if (tensor === undefined) return undefined;
  const reading = readingOf(tensor.dtype, DataType.FLOAT);
  if (typeof reading === "string") return `its scales ${quote(tensor.name)} are ${tensor.dtype}, ${reading}`;
  const scale = { tensor, reading, blocks: undefined };
  if (tensor.shape.every((size) => size === 1)) return { ...scale, shape: [] };
  const [rows = 0, columns = 0] = shape.slice(-2);
  if (shape.length === 2 && tensor.shape.length === 1 && tensor.shape[0] === rows)
    return { ...scale, shape: [rows, 1] };
  if (tensor.shape.length === shape.length) {
    if (tensor.shape.every((size, i) => size === 1 || size === shape[i])) return { ...scale, shape: tensor.shape };
    const block = blockSize(checkpoint.config);
    const blocked = [...shape.slice(0, -2), Math.ceil(rows / block[0]), Math.ceil(columns / block[1])];
    const blocks = { sizes: [rows, columns], block } as const;
    if (shape.length >= 2 && tensor.shape.join() === blocked.join()) return { ...scale, shape: blocked, blocks };
  }
  const [height, width] = blockSize(checkpoint.config);
  const found = `its scales ${quote(tensor.name)} have shape [${tensor.shape.join(", ")}]`;
  return `${found}: neither one, nor one per row, nor one per block of ${height} × ${width} of [${shape.join(", ")}]`;
}

function blockSize(config: unknown): readonly [number, number] {
  const quantization = field(config, "quantization_config");
  const size = field(quantization, "weight_block_size");
  if (!Array.isArray(size) || size.length !== 2) return [128, 128];
  const [height, width] = size.map(Number);
  const areSizes =
    Number.isSafeInteger(height) && Number.isSafeInteger(width) && Number(height) > 0 && Number(width) > 0;
  return areSizes ? [Number(height), Number(width)] : [128, 128];
}

function field(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
  return Reflect.get(value, key);
}

/** What makes the scales, under `name`, as FLOAT and in a shape that broadcasts to the weight's. */
export function scaleNodes(name: string, { tensor, reading, shape, blocks }: Scale, place: Place): GraphPart {
  const numbers = blocks?.sizes.map((size, i) => blockNumbers(size, blocks.block[i] ?? 1)) ?? [];
  const steps: Step[] = reading.needsCast ? [{ opType: "Cast", attributes: { to: DataType.FLOAT } }] : [];
  for (const [i, { name: others }] of numbers.entries()) {
    steps.push({ opType: "Gather", others: [others], attributes: { axis: shape.length - 2 + i } });
  }
  const stored = storedTensor(storedName(name, steps), tensor, reading.stored, place, shape);
  return { initializers: [stored, ...numbers], nodes: chain(name, steps) };
}

/** The number of the block that each of `size` rows or columns is in. All weights of the size share it. */
function blockNumbers(size: number, block: number) {
  const numbers = Array.from({ length: size }, (_, i) => Math.floor(i / block));
  return indices(`fp8/blocks/${size}/${block}`, numbers);
}
