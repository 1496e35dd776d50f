import { createHash } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { PlanOptions } from "./plan/plan.js";
import type { Planner } from "./plan/planner.js";
import { MustBeStored, upTo, withStored } from "./plan/stored-stages.js";
import type { Plan } from "./plan/types.js";
import type { RecipeFile } from "./recipe/recipe.js";

/** Merges a document of the recipe file into a folder, or finds it done. */
export type StoreDocument = (plan: Plan, folder: string) => Promise<void>;

/**
 * Plans a file's last document. Documents that cannot be part of what builds on them are stored on the way, in a folder
 * beside the output; an interrupted job finds them there.
 */
export class StoredDocuments {
  readonly #folder: string;
  readonly #options: PlanOptions;
  readonly #planner: Planner;
  readonly #store: StoreDocument;
  readonly #onDocument: (name: string, reason: string) => void;

  constructor(
    output: string,
    options: PlanOptions,
    planner: Planner,
    store: StoreDocument,
    onDocument: (name: string, reason: string) => void,
  ) {
    this.#folder = `${resolve(output)}.amalgam-stages`;
    this.#options = options;
    this.#planner = planner;
    this.#store = store;
    this.#onDocument = onDocument;
  }

  async plan(recipe: RecipeFile): Promise<Plan> {
    let file = recipe;
    for (;;) {
      try {
        return await this.#planner(file, this.#options);
      } catch (reason) {
        if (!(reason instanceof MustBeStored)) throw reason;
        file = withStored(file, reason.stage, await this.#stored(upTo(file, reason.stage), reason.message));
      }
    }
  }

  /** Nothing builds on them any more. */
  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #stored(document: RecipeFile, reason: string): Promise<string> {
    const name = document.stages.at(-1)?.name?.value ?? "";
    this.#onDocument(name, reason);
    // By name and not by place: places change as documents are stored, and the same command must find what is there.
    const folder = join(this.#folder, createHash("sha256").update(name).digest("hex").slice(0, 16));
    await mkdir(this.#folder, { recursive: true });
    await this.#store(await this.plan(document), folder);
    return folder;
  }
}
