import { createHash } from "node:crypto";
import { copyFile, mkdir, readdir, rename, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { mapBounded } from "../../shared/checkpoint/bounded.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { Made } from "../provenance/made.js";
import { type Sign, signatureName } from "../provenance/signing/sign.js";
import { describeSources, describeStages } from "../provenance/source-facts.js";
import type { Delivery } from "../sinks/sink.js";
import { writeCompanions, writeIndex } from "./companions.js";
import { hasErrno, syncDirectory, syncFile, writeDurably, writeError } from "./durable.js";
import { restoreReplaced } from "./leftovers.js";
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

export interface CommitOptions {
  readonly recipeText: string;
  /** What else decided the bytes. */
  readonly made?: Made | undefined;
  /** Signs the output with all its files, whose facts it is given. */
  readonly sign?: Sign | undefined;
  /** On the way to a server: there the output appears, instead of in a folder. */
  readonly delivery?: Delivery | undefined;
  /** See `PublishOptions`. */
  readonly onSent?: ((sent: number, bytes: number) => void) | undefined;
  /** Ends it as long as nothing of the output was moved; what was staged stays. */
  readonly signal?: AbortSignal | undefined;
}

/** Files synced at once. */
const concurrency = 4;

/**
 * Makes the staged files the output: everything is checked, synced and complete before one rename shows it. A crash at
 * any point leaves either no output, or the one that was there before, beside a staging directory to go on from; or it
 * leaves the finished output.
 */
export async function commit(staging: Staging, options: CommitOptions): Promise<CommitResult> {
  const { lock, layout, outputDirectory, step } = staging.parts;
  let finished: Omit<CommitResult, "directory">;
  try {
    finished = await finishFiles(staging, options);
    options.signal?.throwIfAborted();
    await keepJournal(staging);
    await lock.assertHeld();
    await step("held");
    // From here on it is too late.
    options.signal?.throwIfAborted();
    if (options.delivery === undefined) await replaceOutput(staging);
    else {
      const { delivery, onSent, signal } = options;
      await delivery.publish({ assertOurs: () => lock.assertHeld(), onSent, signal });
    }
  } catch (error) {
    throw await lock.reasonOf(error);
  }
  await step("renamed");
  await syncDirectory(dirname(outputDirectory));
  // Another process that found the output complete may have removed it.
  await syncDirectory(layout.root).catch((error: unknown) => {
    if (!hasErrno(error, "ENOENT")) throw writeError(error, "sync", layout.root);
  });
  await step("rename-synced");
  await staging.close();
  return { directory: options.delivery?.url ?? outputDirectory, ...finished };
}

/** Checks the weights, brings them to the disk, and writes what belongs to them. */
async function finishFiles(
  staging: Staging,
  { recipeText, made, sign, signal }: CommitOptions,
): Promise<Omit<CommitResult, "directory">> {
  const { plan, files, layout, step, version, pieces } = staging.parts;
  const sha256s = await staging.finish(signal);
  await step("digested");
  await mapBounded(plan.files, concurrency, async (_, file) => {
    signal?.throwIfAborted();
    await files.assertSound(file);
    await staging.sync(file);
  });
  await step("weights-synced");
  signal?.throwIfAborted();

  await removeAllBut(layout.files, new Set(plan.files.map(({ name }) => name)));
  const { files: companions, warnings } = await writeCompanions(plan, layout.files);
  const facts = { recipeText, amalgam: version, made };
  const card = await writeOwn(layout.files, cardName, formatModelCard(plan, facts));
  await step("companions-written");
  const index = await writeIndex(plan, layout.files);
  await step("index-written");
  const weights = plan.files.map(({ name, bytes }, file): ManifestFile => {
    return { name, bytes, sha256: sha256s[file] ?? "" };
  });
  const all = index === undefined ? companions : [...companions, index];
  const sources = await describeSources(plan);
  const stages = await describeStages(plan);
  const manifest = buildManifest(plan, pieces, { ...facts, sources, stages, weights, companions: all });
  const own = await writeOwn(layout.files, manifestName, formatManifest(manifest));
  if (sign !== undefined) {
    await writeDurably(join(layout.files, signatureName), sign([...weights, ...all, card, own]));
  }
  await syncDirectory(layout.files);
  await step("manifest-written");
  return { manifest, warnings };
}

async function writeOwn(directory: string, name: string, text: string): Promise<ManifestFile> {
  const content = Buffer.from(text);
  await writeDurably(join(directory, name), content);
  return { name, bytes: content.length, sha256: createHash("sha256").update(content).digest("hex") };
}

/**
 * Copies the journal to where it is kept, by a rename: it is there whole or not at all. Its name begins with the output's
 * and the plan's; the place tells outputs in several folders apart.
 */
async function keepJournal({ parts, generation }: Staging): Promise<void> {
  const { plan, keepJournal: folder, outputDirectory, layout } = parts;
  if (folder === undefined) return;
  const place = createHash("sha256").update(outputDirectory).digest("hex").slice(0, 8);
  const kept = join(folder, `${basename(outputDirectory)}-${plan.digest.slice(0, 8)}-${place}.jsonl`);
  const unfinished = `${kept}.${generation}`;
  try {
    await mkdir(folder, { recursive: true });
    await copyFile(layout.journal, unfinished);
    await syncFile(unfinished);
    await rename(unfinished, kept);
    await syncDirectory(folder);
  } catch (error) {
    throw writeError(error, "keep the journal in", folder);
  }
}

/** What an earlier commit wrote before it crashed is written anew, from the files that are there now. */
async function removeAllBut(directory: string, kept: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!kept.has(name)) await rm(join(directory, name), { recursive: true });
  }
}

/**
 * The two renames. The first is impossible for a process that another one took over from, and so is the second, see
 * `barPredecessors()` and `adoptFiles()`. One window is left: a process that is frozen right before the first rename,
 * while another takes over, finishes and removes what bars the place, and that wakes up before the staging directory is
 * removed too, or in that of a third job. It moves the finished output aside and, finding no files of its own, right back.
 */
async function replaceOutput(staging: Staging): Promise<void> {
  const { plan, outputDirectory, overwrite, layout, step } = staging.parts;
  const { state } = await inspectOutput(plan, outputDirectory, { overwrite });
  if (state === "complete") {
    throw new AmalgamError("output_refused", `Cannot write to ${quote(outputDirectory)}: another process completed it`);
  }
  await step("inspected");
  try {
    if (state !== "replaceable") {
      await removeIfThere(outputDirectory);
      await rename(layout.files, outputDirectory);
      return;
    }
    await rename(outputDirectory, layout.replaced);
    try {
      await step("old-moved");
      await rename(layout.files, outputDirectory);
    } catch (error) {
      await restoreReplaced(layout.replaced, outputDirectory, layout.root);
      throw error;
    }
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
