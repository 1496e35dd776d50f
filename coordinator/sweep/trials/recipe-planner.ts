import { createHash } from "node:crypto";
import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { type OpenModel, openModels } from "../../plan/open-models.js";
import { planMerge } from "../../plan/plan.js";
import { referencesOf } from "../../plan/references.js";
import { MustBeStored } from "../../plan/stored-stages.js";
import type { Plan } from "../../plan/types.js";
import { parseRecipes } from "../../recipe/parse.js";
import type { RecipeFile } from "../../recipe/recipe.js";
import { inRecipe, type OtherPath } from "../../sources/other-paths.js";
import { assertSameSources } from "./same-sources.js";

/** A recipe's plan, and the name of the bytes that come out of it. */
export interface PlannedWeights {
  readonly plan: Plan;
  /** Of the plan and of its source files as they are. Hex SHA-256. */
  readonly weights: string;
}

/** Sets of models that are kept open: a sweep's recipes name one, and each of its models by itself. */
const maxOpenSets = 256;

/** Plans recipe after recipe over the same models, whose headers are read once. */
export class RecipePlanner {
  readonly #file: string;
  readonly #otherPath: OtherPath | undefined;
  readonly #opened = new Map<string, Promise<readonly OpenModel[]>>();

  /**
   * `file`: where paths in the recipes start from, and what complaints name. It need not exist. `otherPath`: where models
   * on servers were downloaded to.
   */
  constructor(file: string, otherPath?: OtherPath) {
    this.#file = file;
    this.#otherPath = otherPath;
  }

  /**
   * Fails as planning does, with `usage` for documents that cannot be merged in one go, and with `checkpoint_changed` for
   * models that were written anew since they were opened.
   */
  async plan(text: string): Promise<PlannedWeights> {
    const parsed = parseRecipes(text, this.#file);
    const recipe = this.#otherPath === undefined ? parsed : inRecipe(parsed, this.#otherPath);
    const plan = this.#merge(recipe, await this.#open(recipe));
    await assertSameSources(plan.sources);
    return { plan, weights: weightsOf(plan) };
  }

  #merge(recipe: RecipeFile, models: readonly OpenModel[]): Plan {
    try {
      return planMerge(recipe, models);
    } catch (reason) {
      if (!(reason instanceof MustBeStored)) throw reason;
      const name = recipe.stages[reason.stage]?.name?.value ?? `document ${reason.stage + 1}`;
      throw new AmalgamError(
        "usage",
        `Cannot try ${quote(this.#file)} in memory: ${quote(name)} would have to be merged and stored first, since ${reason.message}; merge it by itself and name its folder`,
        { cause: reason },
      );
    }
  }

  #open(recipe: RecipeFile): Promise<readonly OpenModel[]> {
    const key = referenceSet(recipe);
    const known = this.#opened.get(key);
    if (known !== undefined) return known;
    const opened = openModels(recipe);
    this.#opened.set(key, opened);
    if (this.#opened.size > maxOpenSets) this.#opened.delete(this.#opened.keys().next().value ?? key);
    // A folder that is not there now may be there when it is asked for again.
    opened.catch(() => this.#opened.delete(key));
    return opened;
  }
}

/** What openModels() depends on, in its order. */
function referenceSet({ stages }: RecipeFile): string {
  const texts = stages.flatMap((recipe) => referencesOf(recipe).map(({ value }) => [value.text, value.stage ?? null]));
  const withTokenizers = stages.some(({ tokenizer, chatTemplate }) => (tokenizer ?? chatTemplate) !== undefined);
  return JSON.stringify([texts, withTokenizers]);
}

/** As for a journal: an edit in place can leave headers as they are, and so the plan's own digest. */
function weightsOf({ digest, sources }: Plan): string {
  const hash = createHash("sha256").update(digest);
  for (const { bytes, modifiedMs } of sources) hash.update(`\n${bytes} ${modifiedMs}`);
  return hash.digest("hex");
}
