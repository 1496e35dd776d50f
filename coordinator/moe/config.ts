import type { ComputableDtype } from "../../shared/checkpoint/dtypes.js";
import type { Located, ModelReference, Position } from "../recipe/recipe.js";
import { inReference, type OtherPath } from "../sources/other-paths.js";

/** How the rows of the routers are made; see gates.ts. */
export const gateModes = ["hidden", "hidden_avg", "hidden_last", "cheap_embed", "random", "uniform_random"] as const;
export type GateMode = (typeof gateModes)[number];

/** A dense model whose feed-forward layers become one expert in every layer. */
export interface MoeExpert {
  readonly at: Position;
  readonly model: Located<ModelReference>;
  /** What is to be routed here. */
  readonly positivePrompts: readonly string[];
  /** What is not. */
  readonly negativePrompts: readonly string[];
  /** Standard deviation of normal noise that is added to every weight, for experts that are alike. */
  readonly noiseScale: number | undefined;
  /** Multiplies what the expert adds to the residual stream: its down projection. */
  readonly residualScale: number | undefined;
}

/** What the author of a mergekit-moe config wrote. */
export interface MoeConfig {
  /** As the user named it, for messages. */
  readonly file: string;
  /** Verbatim, for the manifest. */
  readonly text: string;
  /** Where the list of experts stands. */
  readonly expertsAt: Position;
  /** Gives everything but the feed-forward layers. */
  readonly base: Located<ModelReference>;
  readonly experts: readonly MoeExpert[];
  /** Experts that see every token. */
  readonly sharedExperts: readonly MoeExpert[];
  /** @default "hidden" */
  readonly gateMode: GateMode;
  /** Undefined: everything keeps the dtype that it has in the base. */
  readonly dtype: ComputableDtype | undefined;
  /** Experts that each token is routed to. @default 2 */
  readonly expertsPerToken: number;
  /** The beginning of an output architecture's name, in any case. */
  readonly architecture: Located<string> | undefined;
  /** What noise and random gates grow from: a whole number from 0 to 2^53 − 1. @default 0 */
  readonly seed: number;
}

/** Every model that a config names, as often as it does. */
export function moeReferences({ base, experts, sharedExperts }: MoeConfig): readonly Located<ModelReference>[] {
  return [base, ...[...experts, ...sharedExperts].map(({ model }) => model)];
}

/** The config with other folders in the place of some. */
export function inMoeConfig(config: MoeConfig, otherPath: OtherPath): MoeConfig {
  const moved = (expert: MoeExpert): MoeExpert => ({ ...expert, model: inReference(expert.model, otherPath) });
  return {
    ...config,
    base: inReference(config.base, otherPath),
    experts: config.experts.map(moved),
    sharedExperts: config.sharedExperts.map(moved),
  };
}

/** Whether prompts decide where tokens go. */
export function usesPrompts(mode: GateMode): boolean {
  return mode === "cheap_embed" || poolingOf(mode) !== undefined;
}

/**
 * How hidden states of a prompt's tokens become one vector, where gates are made of them: of the average, or of the last
 * token. "hidden" is what mergekit 0.1.5 makes of it, the last.
 */
export function poolingOf(mode: GateMode): "mean" | "last" | undefined {
  if (mode === "hidden_avg") return "mean";
  return mode === "hidden" || mode === "hidden_last" ? "last" : undefined;
}
