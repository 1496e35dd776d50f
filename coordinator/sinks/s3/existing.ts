import type { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { type Manifest, manifestName, maxManifestBytes } from "../../assemble/manifest.js";
import { parseManifest } from "../../assemble/parse-manifest.js";
import { writtenFiles } from "../../assemble/written-files.js";
import type { Plan } from "../../plan/types.js";
import type { S3Folder } from "./bucket.js";
import type { ListedObject } from "./objects.js";
import { refusedOutput } from "./output-error.js";

/** What is in the folder that an output is to go to. */
export interface Existing {
  readonly isComplete: boolean;
  /** Objects that we wrote and that are not part of this output, which may be removed. By name. */
  readonly stale: ReadonlyMap<string, ListedObject>;
}

export interface InspectOptions {
  readonly overwrite: boolean;
  /** CRC-32s of what is about to be written, by name. Default: not known yet */
  readonly wanted?: ReadonlyMap<string, number> | undefined;
  /** Files of this plan's output are on record as completed from our staging directory. @default false */
  readonly isBegun?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Objects without a manifest that are looked at one by one; an output has some hundred. */
const maxLooks = 1_000;

/**
 * Decides whether a plan's output may go to a folder, and fails with `output_refused` and what to do if not. What Amalgam
 * did not write itself is never replaced. Objects of this very plan without its manifest are what a publication left that
 * was interrupted: they are as good as new ones, unless their bytes are not those that are wanted now.
 */
export async function inspectFolder(
  folder: S3Folder,
  url: string,
  plan: Plan,
  { overwrite, wanted, isBegun = false, signal }: InspectOptions,
): Promise<Existing> {
  const listed = await folder.list(signal);
  const refusal = (problem: string) => refusedOutput(url, `it holds ${problem}, ${whatToDo}`);
  if (!listed.has(manifestName)) {
    const { ofOthers, ofThis } = await findStale(folder, url, plan, listed, { wanted, signal });
    const isInTheWay = ofOthers.size > 0 || (ofThis.size > 0 && !isBegun);
    if (isInTheWay && !overwrite) {
      throw refusal("what is left of another output, or of an earlier try at this one");
    }
    return { isComplete: false, stale: new Map([...ofOthers, ...ofThis]) };
  }
  const manifest = await readManifest(folder, url, signal);
  if (manifest === undefined) throw notOurs(url, manifestName);
  const isOurs = manifest.planDigest === plan.digest;
  const isWhole = manifest.weights.every(({ name, bytes }) => listed.get(name)?.bytes === bytes);
  if (isOurs && isWhole) return { isComplete: true, stale: new Map() };
  if (!overwrite) {
    throw refusal(isOurs ? "a damaged output of this recipe" : "the output of another recipe or source");
  }
  const known = writtenFiles(manifest);
  // Once the manifest is removed, nothing tells what lies beside it from what is ours.
  const other = [...listed.keys()].find((name) => !known.has(name));
  if (other !== undefined) throw notOurs(url, other);
  return { isComplete: false, stale: listed };
}

const whatToDo = "choose another prefix or replace it with --overwrite";

/** What is there of ours, without a manifest, that is not to stay: of other plans, and of this one. */
async function findStale(
  folder: S3Folder,
  url: string,
  plan: Plan,
  listed: ReadonlyMap<string, ListedObject>,
  { wanted, signal }: Pick<InspectOptions, "wanted" | "signal">,
): Promise<Readonly<Record<"ofOthers" | "ofThis", ReadonlyMap<string, ListedObject>>>> {
  const ofOthers = new Map<string, ListedObject>();
  const ofThis = new Map<string, ListedObject>();
  for (const [name, object] of [...listed].slice(0, maxLooks)) {
    const found = await folder.head(name, signal);
    if (found === undefined) continue;
    if (found.plan === undefined) throw notOurs(url, name);
    const crc32 = found.crc32 ?? found.expectedCrc32;
    if (found.plan !== plan.digest) ofOthers.set(name, object);
    else if (wanted !== undefined && wanted.get(name) !== crc32) ofThis.set(name, object);
  }
  const [next] = [...listed.keys()].slice(maxLooks);
  if (next !== undefined) throw notOurs(url, next);
  return { ofOthers, ofThis };
}

function notOurs(url: string, name: string): AmalgamError {
  const problem = `Amalgam did not write ${quote(name)}, which is there: choose another prefix or remove it yourself`;
  return refusedOutput(url, problem);
}

async function readManifest(
  folder: S3Folder,
  url: string,
  signal: AbortSignal | undefined,
): Promise<Manifest | undefined> {
  const text = await folder.get(manifestName, maxManifestBytes, signal);
  try {
    return parseManifest(text.toString(), `${url}/${manifestName}`);
  } catch {
    return undefined;
  }
}
