import { type ComputableDtype, dtypeFromRecipe, recipeDtypeNames } from "../../shared/checkpoint/dtypes.js";
import type { MadeOf } from "../provenance/made.js";
import type { ExtractionOptions } from "./extraction.js";

/** What decides the bytes of an extracted adapter. */
export interface ExtractSettings {
  /** Folders. */
  readonly model: string;
  readonly base: string;
  /** What config, card and manifest call them. Default: by their folders. */
  readonly names?: { readonly model: string; readonly base: string } | undefined;
  readonly options: ExtractionOptions;
  readonly maxRank: number;
  /** Singular values that are not above it are left out. */
  readonly epsilon: number;
  /** √σ into either factor; otherwise σ into A. */
  readonly distributeScale: boolean;
  /** Of the factors. Default: the model's own. */
  readonly dtype?: ComputableDtype | undefined;
}

export function namesOf({ model, base, names }: ExtractSettings): { readonly model: string; readonly base: string } {
  return names ?? { model, base };
}

/** The settings as a manifest has them. */
export function madeOf(job: ExtractSettings): MadeOf<"extract-lora"> {
  const { maxRank, epsilon, distributeScale, dtype, options } = job;
  const { embedLora, saveModules, include, exclude, skipUndecomposable } = options;
  return {
    kind: "extract-lora",
    ...namesOf(job),
    ...{ maxRank, epsilon, distributeScale, embedLora, saveModules: [...saveModules] },
    include: include.map(({ source }) => source),
    exclude: exclude.map(({ source }) => source),
    skipUndecomposable,
    ...(dtype === undefined ? {} : { dtype }),
  };
}

/** The words that make it again, for the card. */
export function commandOf(made: MadeOf<"extract-lora">): readonly string[] {
  const dtype = recipeDtypeNames.find((name) => dtypeFromRecipe(name) === made.dtype);
  return [
    ...["extract-lora", "--model", made.model, "--base", made.base, "--max-rank", String(made.maxRank)],
    ...(made.epsilon === 0 ? [] : ["--sv-epsilon", String(made.epsilon)]),
    ...(made.distributeScale ? [] : ["--no-distribute-scale"]),
    ...(made.embedLora ? ["--embed-lora"] : []),
    ...made.saveModules.flatMap((name) => ["--save-module", name]),
    ...made.include.flatMap((text) => ["--include-regex", text]),
    ...made.exclude.flatMap((text) => ["--exclude-regex", text]),
    ...(made.skipUndecomposable ? ["--skip-undecomposable"] : []),
    ...(made.dtype === undefined || dtype === undefined ? [] : ["--dtype", dtype]),
    "extracted-adapter",
  ];
}
