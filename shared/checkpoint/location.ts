import { realpath, stat } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { AmalgamError } from "../errors.js";
import { quote } from "../quote.js";
import { fileError } from "./regular-file.js";

/** Where a checkpoint is, and the bounds within which its files must be. */
export type Location = {
  /** The folder as it was named, for messages. */
  readonly directory: string;
  /** Set when a single file was named instead of a folder: its name in `directory`. */
  readonly file: string | undefined;
  /** The real paths of the folders that its files, links followed, must lie in. The first is the checkpoint's own. */
  readonly roots: readonly [string, ...string[]];
};

/** Finds out what `path` is. A link given by the user is followed; links inside are judged by `resolveInside()`. */
export async function locate(path: string, allowedRoots: readonly string[]): Promise<Location> {
  const kind = await stat(path);
  const directory = kind.isDirectory() ? path : dirname(path);
  const roots = await Promise.all(allowedRoots.map((root) => realpath(root)));
  const own = ownRoot(await realpath(directory));
  if (kind.isDirectory()) return { directory, file: undefined, roots: [own, ...roots] };
  // The file may itself be a link out of its folder, and was asked for by name: where it leads is allowed.
  const real = await realpath(path);
  const first = isInside(own, real) ? own : dirname(real);
  return { directory, file: basename(path), roots: [first, own, ...roots] };
}

/**
 * The folder that everything of a checkpoint must be in: the checkpoint's own, or, in the Hugging Face cache, where
 * `models--org--name/snapshots/<revision>/` is full of links into `models--org--name/blobs/`, the `models--` folder.
 */
function ownRoot(realDirectory: string): string {
  const parts = realDirectory.split(sep);
  const snapshots = parts.findIndex((part, i) => part === "snapshots" && parts[i - 1]?.startsWith("models--") === true);
  return snapshots > 0 && snapshots < parts.length - 1 ? parts.slice(0, snapshots).join(sep) : realDirectory;
}

/**
 * The real path of a file of the checkpoint, links followed, once it is sure to be inside the roots; undefined when
 * there is no such file. Nothing is opened.
 */
export async function resolveInside(location: Location, name: string): Promise<string | undefined> {
  const path = join(location.directory, name);
  let real: string;
  try {
    real = await realpath(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw fileError(error, path);
  }
  if (location.roots.some((root) => isInside(root, real))) return real;
  throw new AmalgamError(
    "path_refused",
    `Cannot open ${quote(path)}: it is a link to ${quote(real)}, outside ${quote(location.roots[0])}`,
    { details: { file: path } },
  );
}

function isInside(root: string, path: string): boolean {
  return path.startsWith(root.endsWith(sep) ? root : root + sep);
}
