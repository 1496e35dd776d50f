import { svd } from "../../../shared/linalg/svd.js";
import type { ExpertPrompts } from "./questions.js";

/** Hidden states as vectors: one for each sequence, [layers, hidden]. */
export interface PromptStates {
  readonly layers: number;
  readonly hidden: number;
  readonly states: readonly Float32Array[];
}

/** Below this a length counts as zero, in mergekit's routers. */
const shortest = 1e-8;

/**
 * The gates of some experts in all layers, [layers, experts, hidden]: the mean of the positive prompts' states less that
 * of the negative ones', at length 1 (mergekit's get_gate_params). In f64, in the order of the prompts, and rounded once.
 */
export function gateRows(experts: readonly ExpertPrompts[], { layers, hidden, states }: PromptStates): Float32Array {
  const rows = new Float32Array(layers * experts.length * hidden);
  for (const [e, { positive, negative }] of experts.entries()) {
    const toward = mean(positive, states, layers * hidden);
    const away = mean(negative, states, layers * hidden);
    for (let layer = 0; layer < layers; layer += 1) {
      const part = toward.subarray(layer * hidden, (layer + 1) * hidden);
      part.forEach((value, i) => {
        part[i] = value - (away[layer * hidden + i] ?? 0);
      });
      const length = Math.max(shortest, Math.sqrt(part.reduce((sum, value) => sum + value * value, 0)));
      rows.set(
        part.map((value) => value / length),
        (layer * experts.length + e) * hidden,
      );
    }
  }
  return rows;
}

function mean(which: readonly number[], states: readonly Float32Array[], length: number): Float64Array {
  const sum = new Float64Array(length);
  for (const number of which) {
    const state = states[number] ?? new Float32Array();
    // A plain loop: these are the longest vectors here.
    for (let i = 0; i < length; i += 1) sum[i] = (sum[i] ?? 0) + (state[i] ?? 0);
  }
  return which.length === 0 ? sum : sum.map((value) => value / which.length);
}

/** The first number that is none, by its sequence and layer. */
export function findNonFinite({
  hidden,
  states,
}: PromptStates): { readonly sequence: number; readonly layer: number } | undefined {
  for (const [sequence, values] of states.entries()) {
    const at = values.findIndex((value) => !Number.isFinite(value));
    if (at >= 0) return { sequence, layer: Math.floor(at / hidden) };
  }
  return undefined;
}

/** A router whose rows are this far from being independent of each other routes badly: mergekit's threshold. */
const maxCondition = 5;

/** Routers with fewer rows are looked at; the time grows with the cube. */
const maxRows = 256;

/** A warning where rows of routers [layers, experts, hidden] are so alike that some experts will get little to do. */
export function alikeWarnings(rows: Float32Array, experts: number, hidden: number): readonly string[] {
  const layers = experts === 0 ? 0 : rows.length / (experts * hidden);
  if (experts < 2 || experts > maxRows) return [];
  const alike = Array.from({ length: layers }, (_, layer) => layer).filter((layer) => {
    const data = Float64Array.from(rows.subarray(layer * experts * hidden, (layer + 1) * experts * hidden));
    const { values } = svd({ rows: experts, columns: hidden, data });
    const [largest = 0, smallest = 0] = [values[0], values.at(-1)];
    return !(largest <= maxCondition * smallest);
  });
  if (alike.length === 0) return [];
  const where = alike.length === layers ? "all layers" : `layers ${alike.join(", ")}`;
  return [
    `Prompts are too alike in ${where}: the router can hardly tell the experts apart, and some will get little to do`,
  ];
}
