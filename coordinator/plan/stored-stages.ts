import { mapModels, modelsOf } from "../recipe/models.js";
import type { ModelReference, Recipe, RecipeFile } from "../recipe/recipe.js";

/** Why a document's output cannot be computed as part of what builds on it, and must be a checkpoint first. */
export class MustBeStored extends Error {
  override readonly name = "MustBeStored";
  /** Into {@link RecipeFile.stages}. */
  readonly stage: number;

  constructor(stage: number, reason: string) {
    super(reason);
    this.stage = stage;
  }
}

/** The file as it would be with `stage` as its last document. */
export function upTo(file: RecipeFile, stage: number): RecipeFile {
  return { ...file, stages: needed(file.stages.slice(0, stage + 1)) };
}

/** The file without one of its documents, whose output lies in a folder. */
export function withStored(file: RecipeFile, stage: number, folder: string): RecipeFile {
  const stages = file.stages.map((recipe) =>
    mapModels(recipe, ({ value, at }) => {
      return { value: value.stage === stage ? { text: value.text, path: folder } : value, at };
    }),
  );
  return { ...file, stages: needed(stages) };
}

/** The last document and those it builds on, by their new places. */
function needed(stages: readonly Recipe[]): readonly Recipe[] {
  const wanted = new Set<number>();
  const want = (place: number): void => {
    if (wanted.has(place)) return;
    wanted.add(place);
    for (const { value } of modelsOf(stages[place] as Recipe)) if (value.stage !== undefined) want(value.stage);
  };
  want(stages.length - 1);
  const kept = [...wanted].sort((a, b) => a - b);
  return kept.map((place) =>
    mapModels(stages[place] as Recipe, ({ value, at }) => ({ value: renumbered(value, kept), at })),
  );
}

function renumbered(reference: ModelReference, kept: readonly number[]): ModelReference {
  const { stage } = reference;
  return stage === undefined ? reference : { ...reference, stage: kept.indexOf(stage) };
}
