import type { EvaluateRequest, EvaluationBatch } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { elementsOf } from "../../../shared/shape.js";
import { headBytes } from "./measures/head.js";
import type { WeightSurvey } from "./weights.js";

/** Activations that live at the same time: a layer's input and output, and two in between. */
const liveActivations = 4;

/** Copies of a cache at a step: the last one, the next, and what ONNX Runtime made of it. */
const liveCaches = 3;

/**
 * About what the largest batch takes while one graph runs, from its widest layer alone: an error of a factor of two
 * either way, which is enough to tell what cannot work from what may.
 */
export function batchBytes({ model, measure, batches }: EvaluateRequest, role: string, weights: WeightSurvey): number {
  if (role === "head") return headBytes(weights.widest);
  const cacheWidth = model?.cache.reduce((total, { heads, width }) => total + heads * width, 0) ?? 0;
  const added = measure.case === "generation" ? measure.value.maxNewTokens : 0;
  const needs = batches.map((batch) => {
    const cached = role === "step" ? (tokensOf(batch) + examplesOf(batch) * added) * cacheWidth : 0;
    return 4 * (liveActivations * widthOf(batch, weights) + liveCaches * cached);
  });
  return Math.max(0, ...needs);
}

/** Elements of the largest activation. An image's patches are as wide as they are many: its elements are a bound. */
function widthOf({ inputs }: EvaluationBatch, { widest }: WeightSurvey): number {
  const sizes = inputs.map(
    ({ dtype, shape }) => elementsOf(shape) * (shape.length === 2 && dtype !== "F32" ? widest : 1),
  );
  return Math.max(0, ...sizes);
}

function tokensOf({ inputs }: EvaluationBatch): number {
  return Math.max(0, ...inputs.map(({ shape }) => elementsOf(shape)));
}

function examplesOf({ inputs }: EvaluationBatch): number {
  return inputs[0]?.shape[0] ?? 0;
}
