import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { ConfigReader } from "../config.js";
import type { Pooling } from "../types.js";

const modulesFile = "modules.json";
const poolingFile = "1_Pooling/config.json";

/** By the names of flags, and of the one word that newer versions write instead (`pooling_mode`). */
const modes: Readonly<Record<string, Pooling["mode"]>> = {
  pooling_mode_mean_tokens: "mean",
  pooling_mode_cls_token: "cls",
  pooling_mode_lasttoken: "last",
  mean: "mean",
  cls: "cls",
  lasttoken: "last",
};

/**
 * How a checkpoint of sentence-transformers pools, by the texts of its `modules.json` and `1_Pooling/config.json`.
 * Undefined where it has no module that pools. Throws `checkpoint_malformed` for text that is not JSON and
 * `checkpoint_mismatch` for modules and ways of pooling that are not supported. `folder` is for messages.
 */
export function poolingFromModules(
  modulesJson: string,
  poolingConfigJson: string | undefined,
  folder = "",
): Pooling | undefined {
  const modules = readModules(modulesJson, folder + modulesFile);
  if (!modules.includes("Pooling")) return undefined;
  if (poolingConfigJson === undefined) {
    const problem = `${quote(folder + modulesFile)} names a module "Pooling", and ${quote(folder + poolingFile)} is missing`;
    throw new AmalgamError("checkpoint_mismatch", `Cannot follow sentence-transformers: ${problem}`);
  }
  const file = folder + poolingFile;
  return { mode: readMode(parse(poolingConfigJson, file), file), normalize: modules.includes("Normalize") };
}

/** The modules' classes, in order: `Transformer`, `Pooling`, `Normalize`. */
function readModules(text: string, file: string): readonly string[] {
  const list = parse(text, file);
  if (!Array.isArray(list)) throw malformed(file, "it is not a list");
  const supported = ["Transformer", "Pooling", "Normalize"];
  return list.map((item, i) => {
    const module = new ConfigReader(item, `${file}[${i}]`);
    // Packages move between versions, classes do not.
    const name = module.word("type").split(".").at(-1) ?? "";
    if (!supported.includes(name)) {
      throw module.fail("type", `which is not supported, only ${supported.map(quote).join(", ")} are`);
    }
    return name;
  });
}

function readMode(content: unknown, file: string): Pooling["mode"] {
  const config = new ConfigReader(content, file);
  const word = config.has("pooling_mode") ? config.word("pooling_mode") : undefined;
  const flags = config.keys().filter((key) => key.startsWith("pooling_mode_") && config.flag(key));
  const chosen = word === undefined ? flags : [word];
  const [only = "", ...others] = chosen;
  const mode = Object.hasOwn(modes, only) ? modes[only] : undefined;
  if (mode === undefined || others.length > 0) {
    const key = word === undefined ? (chosen.find((flag) => !Object.hasOwn(modes, flag)) ?? only) : "pooling_mode";
    const what = others.length > 0 ? `one of ${chosen.length} ways of pooling at once, which` : "which";
    throw config.fail(key || "pooling_mode", `${what} is not supported: only the mean, the first or the last token is`);
  }
  return mode;
}

function parse(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw malformed(file, "it is not JSON", cause);
  }
}

function malformed(file: string, problem: string, cause?: unknown): AmalgamError {
  const options = { details: { file }, ...(cause === undefined ? {} : { cause }) };
  return new AmalgamError("checkpoint_malformed", `Cannot read ${quote(file)}: ${problem}`, options);
}
