import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Checkpoint } from "../../../shared/checkpoint/checkpoint.js";
import { parseConfig } from "../../../shared/checkpoint/config.js";
import { writeCompanions } from "../../assemble/companions.js";
import type { ManifestFile } from "../../assemble/manifest.js";
import { Subject } from "../../evaluate/subject.js";
import type { Plan } from "../../plan/types.js";

/**
 * Names what a plan's output is like but for its numbers: tensors, configuration, tokenizer. Models that are alike in
 * this have the same graphs and read the same batches.
 */
export function structureOf({ tensors, files, companions, models }: Plan): string {
  const hash = createHash("sha256");
  const add = (value: unknown): void => void hash.update(`${JSON.stringify(value)}\n`);
  for (const { name, dtype, shape, file, offset } of tensors) add([name, dtype, shape, file, offset]);
  for (const { name, bytes } of files) add([name, bytes]);
  const { configFrom, configEdits, tokenizerFrom, files: made, withheld } = companions;
  add([models[configFrom]?.directory, configEdits, models[tokenizerFrom]?.directory, withheld]);
  for (const [name, bytes] of made) add([name, createHash("sha256").update(bytes).digest("hex")]);
  return hash.digest("hex");
}

/**
 * A plan's output as a checkpoint that tasks can be prepared for, although nobody has merged it. `folder`, which exists
 * and is empty, gets its small files: configuration, tokenizer and the like. Its weights are nowhere.
 */
export async function describeUnstored(
  plan: Plan,
  folder: string,
): Promise<{ readonly subject: Subject; readonly files: readonly ManifestFile[] }> {
  const { files } = await writeCompanions(plan, folder);
  const configFile = join(folder, "config.json");
  const hasConfig = files.some(({ name }) => name === "config.json");
  const configText = hasConfig ? await readFile(configFile, "utf8") : undefined;
  const checkpoint: Checkpoint = {
    directory: folder,
    root: folder,
    files: plan.files.map(({ name, header, bytes }) => ({
      ...{ name, bytes, path: join(folder, name), dataOffset: header.length, metadata: new Map<string, string>() },
      headerSha256: createHash("sha256").update(header).digest("hex"),
    })),
    tensors: new Map(
      plan.tensors.map(({ name, dtype, shape, file, offset, bytes }) => {
        return [name, { name, dtype, shape, file, offset, bytes }];
      }),
    ),
    config: configText === undefined ? undefined : parseConfig(Buffer.from(configText), configFile),
    configText,
    warnings: [],
  };
  return { subject: Subject.unstored(checkpoint), files };
}
