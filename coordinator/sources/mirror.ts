import { mkdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { AgentService } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../shared/quote.js";
import { createClient } from "../../shared/rpc/client.js";
import type { Security } from "../../shared/rpc/security.js";
import type { SourcePlace } from "../dispatch/request.js";
import type { Plan } from "../plan/types.js";
import { Complaints } from "../recipe/complaints.js";
import type { RecipeFile } from "../recipe/recipe.js";
import { didYouMeanOrOneOf } from "../recipe/wording.js";
import { type MirroredFile, mirrorAgentFolder } from "./agent-folder.js";
import { isWeights } from "./mirror-folder.js";
import { type NodeModel, nodeModelsOf } from "./node-models.js";
import { inRecipe } from "./other-paths.js";

export interface MirrorOptions {
  /** The agents that there are: their addresses by name. */
  readonly agents: ReadonlyMap<string, string>;
  readonly security?: Security | undefined;
  /** Where mirrors go, each in `<agent>/<path>`. Made if need be; the same place for every attempt at a job. */
  readonly directory: string;
  readonly signal?: AbortSignal;
}

export interface Mirrors {
  /** The recipe over the mirrors: it can be planned like any other. */
  readonly recipe: RecipeFile;
  /**
   * Where agents find what was mirrored, by path in the mirror, links resolved, as {@link Plan.sources} has it. Empty for
   * a recipe without such models.
   */
  readonly files: ReadonlyMap<string, MirrorPlace>;
}

export interface MirrorPlace extends SourcePlace {
  /** The only one that has it. Undefined: it is on a server, or here. */
  readonly agent?: string | undefined;
}

/** A mirrored file and the agent that has it. */
export interface NodeFile extends MirroredFile {
  readonly agent: string;
}

export interface NodeMirrors extends Mirrors {
  readonly files: ReadonlyMap<string, NodeFile>;
}

/**
 * Mirrors every model that the recipe names as `node://AGENT/path`, as far as a plan needs it: headers, configuration,
 * tokenizer. Complains of agents that there are not and of models that they do not have; fails with what a call fails with.
 */
export async function mirrorNodeModels(recipe: RecipeFile, options: MirrorOptions): Promise<NodeMirrors> {
  const complaints = new Complaints(recipe.file);
  const models = nodeModelsOf(recipe, complaints);
  const names = [...options.agents.keys()].sort();
  for (const [name, { value, at }] of models) {
    if (options.agents.has(value.agent)) continue;
    const others = names.length === 0 ? ", and no other" : didYouMeanOrOneOf(value.agent, names);
    complaints.add(at, `Cannot find model ${quote(name)}: there is no agent ${quote(value.agent)}${others}`);
  }
  complaints.throwIfAny();
  if (models.size === 0) return { recipe, files: new Map() };

  await mkdir(options.directory, { recursive: true });
  const directory = await realpath(options.directory);
  const folders = new Map<string, string>();
  const files = new Map<string, NodeFile>();
  for (const [name, { value, at }] of models) {
    // Apart: a mirror of the folder that a file is in has other files.
    const kind = isWeights(value.path) ? "@files" : "";
    const target = join(directory, `${encodeURIComponent(value.agent)}${kind}`, value.path);
    folders.set(name, target);
    try {
      for (const [path, file] of await mirrorModel(value, target, options)) {
        files.set(path, { ...file, agent: value.agent });
      }
    } catch (reason) {
      const error = AmalgamError.from(reason);
      if (!isModels(error)) throw error;
      complaints.add(at, `Cannot use model ${quote(name)}: agent ${quote(value.agent)} says: ${error.message}`);
    }
  }
  complaints.throwIfAny();
  return { recipe: inRecipe(recipe, ({ path }) => folders.get(path)), files };
}

/** Whether the model is at fault, and not the way to it. */
function isModels({ code }: AmalgamError): boolean {
  return code === "checkpoint_malformed" || code === "path_refused";
}

/** Where agents find the sources of a plan over mirrors: what requests and questions name instead of the mirror. */
export function placesOf(plan: Plan, mirrors: Pick<Mirrors, "files">): (source: number) => SourcePlace | undefined {
  return (source) => mirrors.files.get(plan.sources[source]?.path ?? "");
}

async function mirrorModel(
  { agent, path }: NodeModel,
  target: string,
  { agents, security, signal }: MirrorOptions,
): Promise<ReadonlyMap<string, MirroredFile>> {
  const client = createClient(AgentService, agents.get(agent) ?? "", security, { name: agent });
  try {
    return await mirrorAgentFolder({ client, path, target, signal });
  } finally {
    client.close();
  }
}
