import { dirname } from "node:path";
import { Document, Scalar } from "yaml";
import { quote } from "../../../shared/quote.js";
import { modelsOf } from "../../recipe/models.js";
import type { ModelReference, Recipe } from "../../recipe/recipe.js";
import type { OtherPath } from "../../sources/other-paths.js";
import { partsOf } from "../../sources/remote-names.js";
import type { ParameterValue, Point } from "../space.js";
import type { RecipeTemplate } from "../types.js";
import { put, putFilters, textOf } from "./document.js";
import { type Folders, movePaths, writtenReference } from "./model-paths.js";
import type { RecipeSource } from "./recipe-source.js";
import { type Slot, valueIn } from "./slots.js";

/** A recipe with places for values, and what its models are. */
export class SweepTemplate implements RecipeTemplate {
  readonly file: string;
  readonly models: RecipeTemplate["models"];
  readonly otherPath: OtherPath;
  readonly #document: Document;
  readonly #slots: readonly Slot[];
  readonly #folders: Folders;
  readonly #references: ReadonlyMap<string, ModelReference>;

  /** `recipes`: the recipe at points that together have all models that it may have. */
  constructor(
    source: RecipeSource,
    slots: readonly Slot[],
    recipes: readonly Recipe[],
    folders: Folders,
    otherPath: OtherPath,
  ) {
    this.file = source.file;
    this.otherPath = otherPath;
    this.#document = source.document;
    this.#slots = slots;
    this.#folders = folders;
    const bases = new Set(recipes.flatMap(({ base }) => (base === undefined ? [] : [base.value.text])));
    this.#references = new Map(recipes.flatMap(modelsOf).map(({ value }) => [value.text, value]));
    const named = [...this.#references].map(([name, reference]) => {
      const [[, part]] = partsOf(reference);
      return { name, isBase: bases.has(name), copy: otherPath(part) };
    });
    this.models = named.toSorted((a, b) => Number(b.isBase) - Number(a.isBase));
  }

  render(point: Point): string {
    return textOf(this.#at(point));
  }

  /**
   * The same recipe for a file in another folder: paths of models are relative to it where that folder and the model are
   * near the sweep, so that all may be moved together, else absolute. Names that are no folders stay as they are.
   */
  renderFor(point: Point, folder: string): string {
    const document = this.#at(point);
    movePaths(document, this.#folders, dirname(this.file), folder);
    return textOf(document);
  }

  renderReference(model: string): string {
    const reference = this.#references.get(model);
    if (reference === undefined) throw new RangeError(`The recipe has no model ${quote(model)}`);
    const start = this.#at({});
    const dtypes = ["dtype", "out_dtype"].flatMap((key) => (start.has(key) ? [[key, start.get(key)]] : []));
    const recipe = { merge_method: "passthrough", models: [{ model: writtenReference(reference) }] };
    return textOf(new Document({ ...recipe, ...Object.fromEntries(dtypes) }, { schema: "core" }));
  }

  #at(point: Point): Document {
    const document = this.#document.clone();
    for (const slot of this.#slots) {
      if (slot.kind === "value") {
        put(document, slot.path, new Scalar(valueIn(point, slot.dimension)));
        continue;
      }
      const entries = slot.entries.map(({ filter, dimension }): Record<string, ParameterValue> => {
        const value = valueIn(point, dimension);
        return filter === undefined ? { value } : { filter, value };
      });
      putFilters(document, slot.path, entries);
    }
    return document;
  }
}
