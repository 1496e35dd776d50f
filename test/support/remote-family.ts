import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { runAgent } from "../../node-agent/main.js";
import { AmalgamError } from "../../shared/errors.js";
import { withTempDir } from "./checkpoints.js";
import { familyRecipes, type MergeVariation, mergeLocally, writeFamily } from "./merges.js";
import { type Fault, type FaultyProxy, type ProxiedRequest, startFaultyProxy } from "./remote/faulty-proxy.js";
import { startNginx } from "./remote/nginx.js";

/** A request for weights' bytes, and which of them it is, from 1 on. */
export type FaultOf = (count: number, request: ProxiedRequest) => Fault | undefined;

export interface RemoteFamilyOptions {
  /** The server names no states: neither ETags nor dates. @default false */
  readonly isNameless?: boolean;
  /** A folder that has the family. @default a new one */
  readonly models?: string;
}

/** The recipe with every model of the family named by where it is. */
export function withModelsAt(recipe: string, at: (model: string) => string): string {
  return recipe.replace(/\b(base|math|code|chat|lora)\b(?=[\s,}+]|$)(?!:)/g, at);
}

/** The family on a real web server, behind one that can do what it is told to. Tests share it, each with a workplace. */
export async function serveFamily(options: RemoteFamilyOptions = {}) {
  const { isNameless = false } = options;
  const folder = await withTempDir();
  const models = options.models ?? join(folder.path, "models");
  if (options.models === undefined) {
    await mkdir(models);
    await writeFamily(models);
  }
  const config = isNameless ? 'etag off; add_header Last-Modified "";' : "";
  const nginx = await startNginx({ root: models, config });
  let [count, faultOf]: [number, FaultOf] = [0, () => undefined];
  const proxy: FaultyProxy = await startFaultyProxy(nginx.url, (request) => {
    if (!request.path.endsWith(".safetensors") || request.range === "bytes=0-0") return undefined;
    count += 1;
    return faultOf(count, request);
  });
  // One for all merges that do not want agents of their own, which take most of a second to start.
  const agent = await runAgent({ roots: [folder.path, models, proxy.url], slots: 1, providers: [] });
  const running: MergeVariation = { addresses: [agent.address] };
  const goldens = new Map<string, Promise<string>>();
  return {
    ...{ models, proxy },
    url: proxy.url,
    /** From now on, with requests counted anew. */
    setFault(next: FaultOf) {
      [count, faultOf] = [0, next];
    },
    /** What merging from the folder comes to. */
    golden(name: string): Promise<string> {
      const known = goldens.get(name) ?? mergeHere(folder.path, name, (model) => join(models, model), running);
      goldens.set(name, known);
      return known;
    },
    async workplace() {
      [count, faultOf] = [0, () => undefined];
      const work = await mkdtemp(join(folder.path, "work-"));
      const recipe = async (name: string, at = (model: string): string => `${proxy.url}/${model}`): Promise<string> => {
        await writeFile(join(work, "recipe.yaml"), withModelsAt(familyRecipes[name] ?? "", at));
        return join(work, "recipe.yaml");
      };
      /** Merges into a folder of the workplace, by an agent that there is or `agents` of its own, and returns {@link digestOf} it. */
      const merge = async (recipeFile: string, output: string, variation: MergeVariation = {}): Promise<string> => {
        const own = variation.agents === undefined ? running : {};
        await mergeLocally(recipeFile, join(work, output), { ...own, ...variation });
        return digestOf(join(work, output));
      };
      return { work, recipe, merge };
    },
    async [Symbol.asyncDispose]() {
      for (const item of [agent, proxy, nginx, folder]) await item[Symbol.asyncDispose]();
    },
  };
}

async function mergeHere(
  folder: string,
  name: string,
  at: (model: string) => string,
  variation: MergeVariation,
): Promise<string> {
  const file = join(folder, `${name}.yaml`);
  await writeFile(file, withModelsAt(familyRecipes[name] ?? "", at));
  await mergeLocally(file, join(folder, `golden-${name}`), variation);
  return digestOf(join(folder, `golden-${name}`));
}

/** Of all but what says where models are from. */
export async function digestOf(folder: string): Promise<string> {
  const hash = createHash("sha256");
  const names = (await readdir(folder)).filter((name) => !["amalgam.json", "README.md"].includes(name)).sort();
  expect(names).toContain("config.json");
  for (const name of names) hash.update(`${name}\n`).update(await readFile(join(folder, name)));
  return hash.digest("hex");
}

export function failureOf(promise: Promise<unknown>): Promise<AmalgamError> {
  return promise.then(
    () => expect.fail("It did not fail"),
    (reason: unknown) => AmalgamError.from(reason),
  );
}
