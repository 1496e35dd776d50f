import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { stagesSuffix } from "./assemble/find-stagings.js";
import { removeEmpty } from "./assemble/leftovers.js";
import { writeOutline } from "./assemble/outline.js";
import { inspectOutput, isComplete } from "./assemble/output-directory.js";
import type { PlanOptions } from "./plan/plan.js";
import type { Planner } from "./plan/planner.js";
import { MustBeStored, upTo, withStored } from "./plan/stored-stages.js";
import type { Plan } from "./plan/types.js";
import type { RecipeFile } from "./recipe/recipe.js";

/** Merges a document of the recipe file into a folder, or finds it done. */
export type StoreDocument = (plan: Plan, folder: string) => Promise<void>;

/** Makes a document's output, or what stands for it in a plan, and says where it is. */
type Provide = (plan: Plan, name: string, reason: string) => Promise<string>;

/**
 * Plans a file's last document. Documents that cannot be part of what builds on them are stored on the way, in folders
 * beside the output; an interrupted job finds them there.
 */
export class StoredDocuments {
  readonly #output: string;
  readonly #folder: string;
  readonly #options: PlanOptions;
  readonly #planner: Planner;
  readonly #store: StoreDocument;
  readonly #onDocument: (name: string, reason: string) => void;
  /** Folders of this plan's documents, each after those that it builds on. */
  readonly #used = new Set<string>();

  constructor(
    output: string,
    options: PlanOptions,
    planner: Planner,
    store: StoreDocument,
    onDocument: (name: string, reason: string) => void,
  ) {
    this.#output = output;
    this.#folder = `${resolve(output)}${stagesSuffix}`;
    this.#options = options;
    this.#planner = planner;
    this.#store = store;
    this.#onDocument = onDocument;
  }

  plan(recipe: RecipeFile): Promise<Plan> {
    return this.#plan(recipe, async (plan, name, reason) => {
      this.#onDocument(name, reason);
      const folder = this.#folderOf(plan);
      await this.#store(plan, folder);
      return folder;
    });
  }

  /**
   * The plan, if the output is complete for it, found without merging a document: from outlines of those that are gone.
   * Undefined when there may be something to do. The files that it names are gone when it is returned. `isThere` tells of
   * an output that goes elsewhere than into the folder; what it fails with is better known before documents are merged.
   */
  async planIfComplete(recipe: RecipeFile, isThere?: (plan: Plan) => Promise<boolean>): Promise<Plan | undefined> {
    if (recipe.stages.length < 2 || (isThere === undefined && !(await isComplete(this.#output)))) return undefined;
    let plan: Plan;
    try {
      plan = await this.#planFromOutlines(recipe);
      if (isThere === undefined) {
        const { state } = await inspectOutput(plan, this.#output, { overwrite: true });
        return state === "complete" ? plan : undefined;
      }
    } catch {
      // Whatever it is, the job itself meets it and says so, or can do without outlines.
      return undefined;
    }
    return (await isThere(plan)) ? plan : undefined;
  }

  /** Removes what was stored for the plan: nothing builds on it any more. What others store for the same output stays. */
  async remove(): Promise<void> {
    for (const folder of [...this.#used].reverse()) await rm(folder, { recursive: true, force: true });
    await removeEmpty(this.#folder);
  }

  async #planFromOutlines(recipe: RecipeFile): Promise<Plan> {
    const outlines = await mkdtemp(join(tmpdir(), "amalgam-outlines-"));
    try {
      let count = 0;
      return await this.#plan(recipe, async (plan) => {
        const folder = this.#folderOf(plan);
        if (await isComplete(folder, plan.digest)) return folder;
        count += 1;
        const outline = join(outlines, String(count));
        await writeOutline(plan, outline);
        return outline;
      });
    } finally {
      await rm(outlines, { recursive: true, force: true });
    }
  }

  async #plan(recipe: RecipeFile, provide: Provide): Promise<Plan> {
    let file = recipe;
    for (;;) {
      try {
        return await this.#planner(file, this.#options);
      } catch (reason) {
        if (!(reason instanceof MustBeStored)) throw reason;
        const document = upTo(file, reason.stage);
        const plan = await this.#plan(document, provide);
        const name = document.stages.at(-1)?.name?.value ?? "";
        file = withStored(file, reason.stage, await provide(plan, name, reason.message));
      }
    }
  }

  /**
   * By what is in it, so that different documents of jobs for the same output never meet, and the same command finds what
   * is there. Files count as for a journal: an edit in place can leave headers as they are, and so the digest.
   */
  #folderOf(plan: Plan): string {
    const hash = createHash("sha256").update(plan.digest);
    for (const { bytes, modifiedMs } of plan.sources) hash.update(`\n${bytes} ${modifiedMs}`);
    const folder = join(this.#folder, hash.digest("hex").slice(0, 16));
    this.#used.add(folder);
    return folder;
  }
}
