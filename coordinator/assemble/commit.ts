import { readdir, rename, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { mapBounded } from "../../shared/checkpoint/bounded.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { writeCompanions, writeIndex } from "./companions.js";
import { hasErrno, syncDirectory, writeDurably, writeError } from "./durable.js";
import { buildManifest, formatManifest, type Manifest, type ManifestFile, manifestName } from "./manifest.js";
import { cardName, formatModelCard } from "./model-card.js";
import { inspectOutput } from "./output-directory.js";
import type { Staging } from "./staging.js";

export interface CommitResult {
  readonly directory: string;
  readonly manifest: Manifest;
  /** Files that the output lacks and a model usually has, each a sentence. */
  readonly warnings: readonly string[];
}

/** Files synced at once. */
const concurrency = 4;

/**
 * Makes the staged files the output: everything is checked, synced and complete before one rename shows it. A crash at
 * any point leaves either no output, or the one that was there before, beside a staging directory to go on from; or it
 * leaves the finished output.
 */
export async function commit(staging: Staging, { recipeText }: { readonly recipeText: string }): Promise<CommitResult> {
  const { plan, files, layout, lock, step, version, pieces } = staging.parts;
  const sha256s = await staging.finish();
  await step("digested");
  await mapBounded(plan.files, concurrency, async (_, file) => {
    await files.assertSound(file);
    await files.sync(file);
  });
  await step("weights-synced");

  await removeAllBut(layout.files, new Set(plan.files.map(({ name }) => name)));
  const { files: companions, warnings } = await writeCompanions(plan, layout.files);
  const facts = { recipeText, amalgam: version };
  await writeDurably(join(layout.files, cardName), formatModelCard(plan, facts));
  await step("companions-written");
  const index = await writeIndex(plan, layout.files);
  await step("index-written");
  const weights = plan.files.map(({ name, bytes }, file): ManifestFile => {
    return { name, bytes, sha256: sha256s[file] ?? "" };
  });
  const all = index === undefined ? companions : [...companions, index];
  const manifest = buildManifest(plan, pieces, { ...facts, weights, companions: all });
  await writeDurably(join(layout.files, manifestName), formatManifest(manifest));
  await syncDirectory(layout.files);
  await step("manifest-written");

  await lock.assertHeld();
  await replaceOutput(staging);
  await staging.close();
  return { directory: staging.parts.outputDirectory, manifest, warnings };
}

/** What an earlier commit wrote before it crashed is written anew, from the files that are there now. */
async function removeAllBut(directory: string, kept: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!kept.has(name)) await rm(join(directory, name), { recursive: true });
  }
}

async function replaceOutput(staging: Staging): Promise<void> {
  const { plan, outputDirectory, overwrite, layout, step } = staging.parts;
  const { state } = await inspectOutput(plan, outputDirectory, { overwrite });
  if (state === "complete") {
    throw new AmalgamError("output_refused", `Cannot write to ${quote(outputDirectory)}: another process completed it`);
  }
  try {
    if (state === "replaceable") {
      await rm(layout.replaced, { recursive: true, force: true });
      await rename(outputDirectory, layout.replaced);
      await step("old-moved");
    } else await removeIfThere(outputDirectory);
    await rename(layout.files, outputDirectory);
    await step("renamed");
    await syncDirectory(dirname(outputDirectory));
    await syncDirectory(layout.root);
    await step("rename-synced");
  } catch (error) {
    throw writeError(error, "put the finished output at", outputDirectory);
  }
}

/** An empty directory makes room; not every file system renames onto one. */
async function removeIfThere(directory: string): Promise<void> {
  try {
    await rmdir(directory);
  } catch (error) {
    if (!hasErrno(error, "ENOENT")) throw error;
  }
}
