import { type Dtype, isComputable } from "../../shared/checkpoint/dtypes.js";
import { quote, quoteList } from "../../shared/quote.js";
import type { ModelTensor, StageModel } from "../plan/stage-model.js";
import type { PlannedInput } from "../plan/types.js";
import type { Complaints } from "../recipe/complaints.js";
import type { Position } from "../recipe/recipe.js";
import type { Embedding } from "./gates.js";
import { type FeedForward, feedForward, type MoeLayout } from "./layouts.js";

/** What all models of a mixture have in common. */
export interface DenseShape {
  readonly layers: number;
  readonly hidden: number;
  /** Width of a feed-forward layer. */
  readonly intermediate: number;
  readonly embedding: Embedding;
  /** What the base keeps its embedding in, for tensors that it does not have. */
  readonly dtype: Dtype;
}

const stack = "model.layers.";
const embeddingName = "model.embed_tokens.weight";
const outside: ReadonlySet<string> = new Set([embeddingName, "model.norm.weight", "lm_head.weight"]);

export function inLayer(layer: number, name: string): string {
  return `${stack}${layer}.${name}`;
}

export function matrixName(layer: number, matrix: FeedForward): string {
  return inLayer(layer, `mlp.${matrix}.weight`);
}

/** [out, in], as PyTorch stores it. */
export function matrixShape(matrix: FeedForward, { hidden, intermediate }: DenseShape): readonly [number, number] {
  return matrix === "down_proj" ? [hidden, intermediate] : [intermediate, hidden];
}

/** Takes the measure of the base. Complains of what the layout has no place for, and of what is missing. */
export function denseShape(
  base: StageModel,
  layout: MoeLayout,
  at: Position,
  complaints: Complaints,
): DenseShape | undefined {
  const complain = (problem: string): undefined =>
    complaints.add(at, `Cannot make a ${layout.name} model of ${quote(base.name)}: ${problem}`);
  const layers = base.architecture.modules.find((module) => module.stack === stack)?.layers ?? 0;
  const embedding = base.tensor(embeddingName);
  if (layers === 0 || embedding === undefined)
    return complain(`it has no ${quote(`${stack}0`)} or ${quote(embeddingName)}`);

  const known = knownNames(layers, layout);
  const foreign = [...base.names()].filter((name) => !known.has(name) && !base.architecture.place(name).optional);
  if (foreign.length > 0) complain(`there is no place in it for ${quoteList(foreign, 3)}`);
  const missing = [...known].filter((name) => !isOptional(name) && base.tensor(name) === undefined);
  if (missing.length > 0) return complain(`it lacks ${quoteList(missing, 3)}`);

  const input = storedMatrix(embedding);
  const [intermediate = 0, hidden = 0] = base.tensor(matrixName(0, "gate_proj"))?.shape ?? [];
  const [rows = 0, columns = 0] = embedding.shape;
  if (input === undefined || columns !== hidden) {
    return complain(
      `its embedding is ${embedding.dtype} of [${embedding.shape}], expected floats of [tokens, ${hidden}]`,
    );
  }
  return { layers, hidden, intermediate, embedding: { input, rows, columns }, dtype: embedding.dtype };
}

/** A matrix that a program can read. */
export function storedMatrix(tensor: ModelTensor): PlannedInput | undefined {
  return "input" in tensor && tensor.shape.length === 2 && isComputable(tensor.dtype) ? tensor.input : undefined;
}

function knownNames(layers: number, { layerTensors }: MoeLayout): ReadonlySet<string> {
  const perLayer = [...layerTensors, ...feedForward.map((matrix) => `mlp.${matrix}.weight`)];
  const numbered = Array.from({ length: layers }, (_, layer) => perLayer.map((name) => inLayer(layer, name)));
  return new Set([...outside, ...numbered.flat()]);
}

/** A tied head is not stored, and most models have no biases. */
function isOptional(name: string): boolean {
  return name === "lm_head.weight" || name.endsWith(".bias");
}
