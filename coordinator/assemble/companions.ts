import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { join } from "node:path";
import { formatBytes } from "../../shared/bytes.js";
import { companionNames, licenseNames } from "../../shared/checkpoint/companion-names.js";
import { parseConfig } from "../../shared/checkpoint/config.js";
import { formatIndex, indexFileName } from "../../shared/checkpoint/index-json.js";
import { locate, resolveInside } from "../../shared/checkpoint/location.js";
import { openRegularFile, readSmallFile } from "../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { Plan } from "../plan/types.js";
import { licensesOf } from "../provenance/licenses/combine.js";
import { uniformDtype, withDtype } from "./config-dtype.js";
import { editConfig } from "./config-edit.js";
import { openOwn, writeDurably, writeFully } from "./durable.js";
import type { ManifestFile } from "./manifest.js";

const configName = "config.json";

/** Largest file copied; the largest published tokenizers have some 35 MB. */
const maxCompanionBytes = 256 << 20;
const maxConfigBytes = 16 << 20;

export interface Companions {
  readonly files: readonly ManifestFile[];
  /** What could not be copied and why, each a sentence. */
  readonly warnings: readonly string[];
}

const none: Companions = { files: [], warnings: [] };

/**
 * Writes `config.json`, the tokenizer's files, the licence if all models have the same, and the like into the directory, from the models that the plan names. Only
 * regular files that are really the model's are read: a link out of its directory would publish a stranger's file. One
 * that cannot be copied is a warning, since the weights are what took hours.
 */
export async function writeCompanions(plan: Plan, directory: string): Promise<Companions> {
  const { configFrom, tokenizerFrom, files: made, withheld } = plan.companions;
  const fromConfig = await copyFrom(plan, configFrom, [configName], directory);
  const names = companionNames.filter((name) => !made.has(name) && !withheld.includes(name));
  const fromTokenizer = await copyFrom(plan, tokenizerFrom, names, directory);
  // Several licences have one name: whose text it would be, the card says instead.
  const isOne = licensesOf(plan.models).license !== undefined && !licensesOf(plan.models).isMixed;
  const terms = isOne || plan.models.length === 1 ? await copyFrom(plan, configFrom, licenseNames, directory) : none;
  const files = [...fromConfig.files, ...fromTokenizer.files, ...terms.files];
  for (const [name, bytes] of made) files.push(await writeBytes(join(directory, name), name, bytes));
  return { files, warnings: [...new Set([...fromConfig.warnings, ...fromTokenizer.warnings, ...terms.warnings])] };
}

async function copyFrom(plan: Plan, place: number, names: readonly string[], directory: string): Promise<Companions> {
  const files: ManifestFile[] = [];
  const warnings: string[] = [];
  const model = plan.models[place];
  if (model === undefined) return { files, warnings };
  const location = await locate(model.directory, []).catch(() => undefined);
  if (location === undefined) {
    return { files, warnings: [`Model ${quote(model.name)} is gone, so the output has no config and no tokenizer`] };
  }
  for (const name of names) {
    try {
      const path = await resolveInside(location, name);
      if (path !== undefined) {
        files.push(await (name === configName ? writeConfig : copyFile)(plan, path, join(directory, name), name));
      } else if (name === configName) warnings.push(`Model ${quote(model.name)} has no "${name}", write one by hand`);
    } catch (error) {
      const reason = AmalgamError.from(error);
      if (!isInputs(reason)) throw reason;
      warnings.push(`Not copied from ${quote(model.name)}: ${reason.message}`);
    }
  }
  return { files, warnings };
}

/** The index that says which file holds which tensor; undefined for an output of one file, which needs none. */
export async function writeIndex(plan: Plan, directory: string): Promise<ManifestFile | undefined> {
  if (plan.files.length <= 1) return undefined;
  const weightMap = new Map(plan.tensors.map(({ name, file }) => [name, plan.files[file]?.name ?? ""]));
  const totalBytes = plan.tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  return writeText(join(directory, indexFileName), indexFileName, formatIndex(weightMap, totalBytes));
}

async function writeConfig(plan: Plan, from: string, to: string, name: string): Promise<ManifestFile> {
  const bytes = await readSmallFile(from, { name: from, maxBytes: maxConfigBytes, followLinks: false });
  parseConfig(bytes, from);
  const text = editConfig(Buffer.from(bytes).toString(), plan.companions.configEdits);
  const dtype = uniformDtype(plan);
  return writeText(to, name, dtype === undefined ? text : withDtype(text, dtype));
}

function writeText(path: string, name: string, text: string): Promise<ManifestFile> {
  return writeBytes(path, name, Buffer.from(text));
}

async function writeBytes(path: string, name: string, bytes: Uint8Array): Promise<ManifestFile> {
  await writeDurably(path, bytes);
  return { name, bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

async function copyFile(_: Plan, from: string, to: string, name: string): Promise<ManifestFile> {
  const source = await openRegularFile(from, { followLinks: false });
  await using input = source.handle;
  if (source.bytes > maxCompanionBytes) {
    throw new AmalgamError(
      "checkpoint_malformed",
      `Cannot copy ${quote(from)}: it has ${formatBytes(source.bytes)}, above the limit of ${formatBytes(maxCompanionBytes)}`,
    );
  }
  await using output = await openOwn(to, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC);
  const sha256 = createHash("sha256");
  const chunk = Buffer.alloc(1 << 20);
  let bytes = 0;
  // Never more than was there at first, however fast another process appends.
  while (bytes < source.bytes) {
    const { bytesRead } = await input.read(chunk, 0, Math.min(chunk.length, source.bytes - bytes), bytes);
    if (bytesRead === 0) break;
    const part = chunk.subarray(0, bytesRead);
    sha256.update(part);
    await writeFully(output, part, bytes);
    bytes += bytesRead;
  }
  await output.sync();
  return { name, bytes, sha256: sha256.digest("hex") };
}

/** Whether it is the model that is at fault, and not the disk that is written to. */
function isInputs({ code }: AmalgamError): boolean {
  return code === "checkpoint_malformed" || code === "path_refused";
}
