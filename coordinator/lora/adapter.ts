import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { maxConfigBytes } from "../../shared/checkpoint/config.js";
import { locate, resolveInside } from "../../shared/checkpoint/location.js";
import { type Checkpoint, openCheckpoint } from "../../shared/checkpoint/open.js";
import { fileError, readSmallFile } from "../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { AdapterConfig } from "./config.js";
import { isHeadCopied } from "./head-copy.js";

export const adapterConfigName = "adapter_config.json";
export const adapterWeightsName = "adapter_model.safetensors";

/** A PEFT adapter with its configuration and header read. No factor has been read. */
export interface Adapter {
  /** The folder as it was named. */
  readonly directory: string;
  /** `adapter_model.safetensors`. */
  readonly checkpoint: Checkpoint;
  readonly config: AdapterConfig;
  /** The head that it saves is its embedding once more. */
  readonly isHeadCopied: boolean;
}

/**
 * Opens a folder that PEFT's `save_pretrained()` wrote. Of `adapter_model.safetensors` only the header is read, and
 * embedding and head if it saves both; pickled adapters are refused. What is broken is a `checkpoint_malformed` that names the file.
 */
export async function openAdapter(directory: string): Promise<Adapter> {
  try {
    const location = await locate(directory, []);
    const path = location.file === undefined ? await resolveInside(location, adapterConfigName) : undefined;
    if (path === undefined) throw malformed(directory, await whyNoConfig(location.directory, location.file));
    const name = join(directory, adapterConfigName);
    // Most recipes name no adapter, and do without what checks its configuration.
    const { parseAdapterConfig } = await import("./config.js");
    const config = parseAdapterConfig(
      await readSmallFile(path, { name, maxBytes: maxConfigBytes, followLinks: false }),
      name,
    );
    if ((await resolveInside(location, adapterWeightsName)) === undefined) {
      throw malformed(directory, await whyNoWeights(directory));
    }
    const checkpoint = await openCheckpoint(join(directory, adapterWeightsName));
    return { directory, config, checkpoint, isHeadCopied: await isHeadCopied(checkpoint) };
  } catch (error) {
    throw fileError(error, directory);
  }
}

async function whyNoConfig(directory: string, file: string | undefined): Promise<string> {
  if (file !== undefined) return `an adapter is a folder with ${quote(adapterConfigName)}, and this is a file`;
  const names = await readdir(directory);
  return names.includes("config.json")
    ? `it holds a model and no ${quote(adapterConfigName)}`
    : `it has no ${quote(adapterConfigName)}`;
}

async function whyNoWeights(directory: string): Promise<string> {
  const names = await readdir(directory);
  if (!names.includes("adapter_model.bin")) return `it has no ${quote(adapterWeightsName)}`;
  return (
    `its weights are pickled (${quote("adapter_model.bin")}), and reading a pickle can run code: load it with PEFT and ` +
    "save it again with save_pretrained(), which writes safetensors"
  );
}

function malformed(directory: string, problem: string): AmalgamError {
  return new AmalgamError("checkpoint_malformed", `Cannot open adapter ${quote(directory)}: ${problem}`, {
    details: { file: directory },
  });
}
