import { lstat, mkdir, readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { Plan } from "../plan/types.js";
import { hasErrno } from "./durable.js";
import { removeLeftovers } from "./leftovers.js";
import { type Manifest, manifestName, readManifest } from "./manifest.js";

/** What is at an output path before work starts. */
export interface OutputState {
  /**
   * `free`: nothing, or an empty directory. `complete`: this very plan's finished output. `replaceable`: another
   * output of ours, which the author allowed to be replaced.
   */
  readonly state: "free" | "complete" | "replaceable";
  /** Absolute, symlinks resolved. Its parent exists. */
  readonly directory: string;
}

/**
 * Decides whether `path` may become the plan's output, and throws `output_refused` with what to do if not. Nothing that
 * Amalgam did not write itself is ever replaced, and source models are out of reach whatever the options say.
 */
export async function inspectOutput(
  plan: Plan,
  path: string,
  options: { readonly overwrite?: boolean | undefined } = {},
): Promise<OutputState> {
  const directory = await resolveOutput(path);
  await assertApartFromSources(plan, directory, path);
  await createParent(directory, path);
  const entries = await entriesOf(directory, path);
  if (entries.length === 0) {
    await assertNoMountPoint(directory, path);
    return { state: "free", directory };
  }
  const manifest = entries.includes(manifestName) ? await readManifest(directory).catch(() => undefined) : undefined;
  if (manifest === undefined) {
    throw refused(path, "it is not empty and Amalgam did not write it, choose another path or empty it yourself");
  }
  const same = manifest.planDigest === plan.digest;
  if (same && (await hasAllFiles(directory, manifest))) {
    await removeLeftovers(plan, directory);
    return { state: "complete", directory };
  }
  if (options.overwrite === true) {
    // Most merges replace nothing, and do without what knows our files.
    const { writtenFiles } = await import("./written-files.js");
    const foreign = await findForeign(directory, writtenFiles(manifest));
    if (foreign === undefined) return { state: "replaceable", directory };
    throw refused(path, `Amalgam did not write ${quote(foreign)} in it, choose another path or remove it yourself`);
  }
  const problem = same ? "it holds a damaged output of this recipe" : "it holds the output of another recipe or source";
  throw refused(path, `${problem}, choose another path or replace it with --overwrite`);
}

/** The path with the symlinks of its longest existing part resolved: what is really written to. */
async function resolveOutput(path: string): Promise<string> {
  const absolute = resolve(path);
  try {
    return await realpath(absolute);
  } catch (error) {
    if (!hasErrno(error, "ENOENT")) throw refused(path, AmalgamError.from(error).message);
  }
  const found = await lstat(absolute).catch(() => undefined);
  // It has no real path and is there, so it leads to nothing. Creating its target would surprise.
  if (found?.isSymbolicLink() === true) throw refused(path, "it is a symbolic link that leads nowhere");
  // It came to be between the two looks.
  if (found !== undefined) return resolveOutput(path);
  if (dirname(absolute) === absolute) return absolute;
  return join(await resolveOutput(dirname(absolute)), basename(absolute));
}

async function assertApartFromSources(plan: Plan, directory: string, path: string): Promise<void> {
  for (const { name, directory: named } of plan.models) {
    const source = await realpath(named).catch(() => resolve(named));
    const problem =
      source === directory
        ? "it is the directory of source model"
        : isWithin(source, directory)
          ? "it contains source model"
          : isWithin(directory, source)
            ? "it lies within the directory of source model"
            : undefined;
    if (problem !== undefined) throw refused(path, `${problem} ${quote(name)}, choose a path outside it`);
  }
  // Links in a model's directory may lead to files anywhere, and those must not be replaced either.
  const contained = plan.sources.find((source) => isWithin(source.path, directory));
  if (contained !== undefined) throw refused(path, `it contains source file ${quote(contained.path)}`);
}

function isWithin(inner: string, outer: string): boolean {
  const way = relative(outer, inner);
  return way !== "" && way !== ".." && !way.startsWith(`..${sep}`);
}

async function createParent(directory: string, path: string): Promise<void> {
  try {
    await createFolder(dirname(directory));
  } catch (error) {
    throw refused(path, `its parent cannot be created: ${AmalgamError.from(error).message}`, error);
  }
}

/**
 * Creates a folder and those above it that are missing. Not by mkdir's own `recursive`, which never comes back where a
 * file system answers ENOENT though the parent is there, as /proc does (Node 20).
 */
async function createFolder(directory: string): Promise<void> {
  try {
    await stat(directory);
  } catch (error) {
    if (!hasErrno(error, "ENOENT")) throw error;
    await createFolder(dirname(directory));
    await mkdir(directory).catch((reason: unknown) => {
      if (!hasErrno(reason, "EEXIST")) throw reason;
    });
  }
}

async function entriesOf(directory: string, path: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return [];
    if (hasErrno(error, "ENOTDIR")) throw refused(path, "it is a file, and the output is a directory");
    throw refused(path, AmalgamError.from(error).message, error);
  }
}

/** The first thing in a folder that is none of these files, nor a folder on the way to one. Links are not followed. */
async function findForeign(directory: string, files: ReadonlySet<string>, prefix = ""): Promise<string | undefined> {
  for (const entry of await readdir(join(directory, prefix), { withFileTypes: true })) {
    const name = `${prefix}${entry.name}`;
    if (files.has(name)) continue;
    const isOnTheWay = entry.isDirectory() && [...files].some((file) => file.startsWith(`${name}/`));
    const foreign = isOnTheWay ? await findForeign(directory, files, `${name}/`) : name;
    if (foreign !== undefined) return foreign;
  }
  return undefined;
}

/** The output appears by a rename, and a mount point can neither be replaced nor be renamed onto. */
async function assertNoMountPoint(directory: string, path: string): Promise<void> {
  const [own, parent] = await Promise.all([stat(directory).catch(() => undefined), stat(dirname(directory))]);
  if (own === undefined || (own.dev === parent.dev && own.ino !== parent.ino)) return;
  throw refused(path, `it is a mount point, choose a directory within it such as ${quote(join(path, "merged"))}`);
}

/** Whether a directory holds the finished output of the plan with this digest; without one, of any plan. */
export async function isComplete(directory: string, planDigest?: string): Promise<boolean> {
  const manifest = await readManifest(directory).catch(() => undefined);
  if (manifest === undefined || (planDigest !== undefined && manifest.planDigest !== planDigest)) return false;
  return hasAllFiles(directory, manifest);
}

/** A quick look at the weights' sizes; `amalgam verify` looks at every byte. Companions are for people to edit. */
async function hasAllFiles(directory: string, { weights }: Manifest): Promise<boolean> {
  const sound = await Promise.all(
    weights.map(({ name, bytes }) =>
      lstat(join(directory, name)).then(
        (found) => found.isFile() && found.size === bytes,
        () => false,
      ),
    ),
  );
  return !sound.includes(false);
}

function refused(path: string, problem: string, cause?: unknown): AmalgamError {
  return new AmalgamError("output_refused", `Cannot write to ${quote(path)}: ${problem}`, {
    cause,
    details: { output: path },
  });
}
