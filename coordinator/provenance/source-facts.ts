import { createHash } from "node:crypto";
import { basename, dirname } from "node:path";
import { companionNames } from "../../shared/checkpoint/companion-names.js";
import { locate, resolveInside } from "../../shared/checkpoint/location.js";
import { readSmallFile } from "../../shared/checkpoint/regular-file.js";
import { stagesSuffix } from "../assemble/find-stagings.js";
import { plannedFiles, readManifest } from "../assemble/manifest.js";
import type { Plan, PlannedModel } from "../plan/types.js";
import type { FileFacts, SourceFacts, StageFacts } from "./facts.js";

const configName = "config.json";
const adapterConfigName = "adapter_config.json";
/** As much as is copied of one file into an output. */
const maxSmallBytes = 256 << 20;

/** What the manifest of a plan's output says of its sources, in the plan's order. Reads small files, and no weights. */
export async function describeSources(plan: Plan): Promise<readonly SourceFacts[]> {
  return Promise.all(
    plan.models.map(async (model, place) => {
      const { name, origin, cards } = model;
      const license = cards?.find((card) => card.license !== undefined)?.license;
      return {
        name,
        ...(origin === undefined ? {} : { origin }),
        ...(license === undefined ? {} : { license }),
        files: plannedFiles(plan, place),
        small: await describeSmall(model, smallNames(plan, place)),
      };
    }),
  );
}

/** Its config, and its tokenizer where the output's is copied or made from it. */
function smallNames({ companions }: Plan, model: number): readonly string[] {
  const isDonor = companions.tokenizerFrom === model || companions.files.size + companions.withheld.length > 0;
  return [configName, adapterConfigName, ...(isDonor ? companionNames : [])];
}

/** Small files that may decide bytes. A manifest that names others makes nobody read them. */
const decidingNames: ReadonlySet<string> = new Set([configName, adapterConfigName, ...companionNames]);

export function decidesBytes(name: string): boolean {
  return decidingNames.has(name);
}

/** Those of the files that there are, read one after the other. One that cannot be read is not said to be anything. */
export async function describeSmall(
  { directory, adapterDirectory }: Pick<PlannedModel, "directory" | "adapterDirectory">,
  names: readonly string[],
): Promise<FileFacts[]> {
  const found: FileFacts[] = [];
  for (const name of new Set(names)) {
    const folder = name === adapterConfigName ? adapterDirectory : directory;
    const file = folder === undefined || !decidesBytes(name) ? undefined : await describeFile(folder, name);
    if (file !== undefined) found.push(file);
  }
  return found;
}

async function describeFile(folder: string, name: string): Promise<FileFacts | undefined> {
  try {
    const path = await resolveInside(await locate(folder, []), name);
    if (path === undefined) return undefined;
    const content = await readSmallFile(path, { maxBytes: maxSmallBytes, followLinks: false });
    return { name, bytes: content.length, sha256: createHash("sha256").update(content).digest("hex") };
  } catch {
    return undefined;
  }
}

/** What the documents were made from that were merged by themselves first, and lie beside the output until it is done. */
export async function describeStages({ models }: Plan): Promise<readonly StageFacts[]> {
  const stages = await Promise.all(
    models.map(async ({ name, directory }): Promise<readonly StageFacts[]> => {
      if (!basename(dirname(directory)).endsWith(stagesSuffix)) return [];
      const manifest = await readManifest(directory).catch(() => undefined);
      if (manifest === undefined) return [];
      const { planDigest, models: own, stages: before = [] } = manifest;
      return [...before, { name, planDigest, models: own.map(onlyFacts) }];
    }),
  );
  return stages.flat();
}

function onlyFacts({ name, origin, license, files, small }: SourceFacts): SourceFacts {
  return {
    name,
    ...(origin === undefined ? {} : { origin }),
    ...(license === undefined ? {} : { license }),
    files,
    ...(small === undefined ? {} : { small }),
  };
}

/** The same for a checkpoint that no plan is made of. */
export async function describeCheckpoint(
  name: string,
  checkpoint: { readonly directory: string; readonly files: readonly Omit<SourceFacts["files"][number], "version">[] },
  names: readonly string[],
): Promise<SourceFacts> {
  const { directory, files } = checkpoint;
  return {
    name,
    files: files.map(({ name, bytes, headerSha256 }) => ({ name, bytes, headerSha256 })),
    small: await describeSmall({ directory, adapterDirectory: directory }, names),
  };
}
