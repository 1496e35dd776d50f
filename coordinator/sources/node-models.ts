import { quote } from "../../shared/quote.js";
import type { Complaints } from "../recipe/complaints.js";
import { modelsOf } from "../recipe/models.js";
import type { Located, RecipeFile } from "../recipe/recipe.js";

/** A model or an adapter that only an agent has: `node://AGENT/path/of/it`. */
export interface NodeModel {
  /** The agent's name. */
  readonly agent: string;
  /** Absolute, on the agent's machine. */
  readonly path: string;
}

const scheme = "node://";

export function isNodeModel(name: string): boolean {
  return name.startsWith(scheme);
}

/** Undefined: it is not of that form. */
export function parseNodeModel(name: string): NodeModel | undefined {
  const match = /^node:\/\/([^/]+)(\/.+)$/.exec(name);
  const [, agent, path] = match ?? [];
  if (agent === undefined || path === undefined || path.includes("\0") || path.split("/").includes("..")) {
    return undefined;
  }
  return { agent, path };
}

/** Every name of that form in the recipe, each once, with the place where it first stands. */
export function nodeModelsOf(recipe: RecipeFile, complaints: Complaints): ReadonlyMap<string, Located<NodeModel>> {
  const found = new Map<string, Located<NodeModel>>();
  for (const { value, at } of recipe.stages.flatMap(modelsOf)) {
    if (value.stage !== undefined) continue;
    for (const name of [value.path, value.lora?.path]) {
      if (name === undefined || !isNodeModel(name) || found.has(name)) continue;
      const model = parseNodeModel(name);
      if (model !== undefined) found.set(name, { value: model, at });
      else
        complaints.add(at, `Cannot use model ${quote(name)}: it is written ${quote(`${scheme}AGENT/path/of/model`)}`);
    }
  }
  return found;
}
