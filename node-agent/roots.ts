import { lstatSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, resolve, sep } from "node:path";
import { readingProblem } from "../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../shared/errors.js";
import { quote, quoteList } from "../shared/quote.js";
import { isBelow, isRemote, parseRemote, problemOfRoot, shown } from "../shared/remote/url.js";

/**
 * What an agent may touch: folders, and what servers have below some URLs. All functions return what to open or fail with
 * `path_refused`. They are synchronous: workers call them between reads that are synchronous too.
 */
export interface Confinement {
  /** Folders, symbolic links resolved, in the order given. */
  readonly roots: readonly string[];
  /** `https://host/models`, `s3://bucket`, `hf://owner`: below them it may read. */
  readonly urls: readonly string[];
  /** The file must exist. A link is followed if it ends inside a root, as those of a Hugging Face cache do. */
  readonly readable: (path: string) => string;
  /** The file may be missing; its folder may not. */
  readonly writable: (path: string) => string;
  /** A file on a server. Returns the URL. */
  readonly fetchable: (url: string) => string;
}

/** Every root must be a folder that exists, or a URL. */
export function createConfinement(given: readonly string[]): Confinement {
  const urls = given.filter(isRemote);
  const roots = given.filter((root) => !isRemote(root)).map(resolveRoot);
  urls.forEach(assertUrlRoot);
  const confine = (path: string, act: string, resolvePath: (path: string) => string): string => {
    const refuse = (reason: string): AmalgamError =>
      new AmalgamError("path_refused", `Cannot ${act} ${quote(path)}: ${reason}`, { details: { file: path } });
    if (!isAbsolute(path) || path.includes("\0")) throw refuse("it is not an absolute path");
    let resolved: string;
    try {
      resolved = resolvePath(path);
    } catch (error) {
      // Whether a file outside the roots exists is nobody's business.
      if (!isInsideOne(resolve(path), roots)) throw refuse(outside(roots));
      const { code, message, details } = AmalgamError.from(error);
      throw new AmalgamError(code, `Cannot ${act} ${quote(path)}: ${message}`, {
        cause: error,
        details: { ...details, file: path },
      });
    }
    if (!isInsideOne(resolved, roots)) throw refuse(outside(roots));
    return resolved;
  };
  return {
    roots,
    urls,
    readable: (path) => confine(path, "read", (given) => realpathSync(given)),
    writable: (path) => confine(path, "write", resolveWritable),
    fetchable: (url) => {
      const problem = parseRemote(url).problem ?? (isBelowOne(url, urls) ? undefined : outsideUrls(urls));
      if (problem === undefined) return url;
      throw new AmalgamError("path_refused", `Cannot read ${quote(shown(url))}: ${problem}`, {
        details: { file: shown(url) },
      });
    },
  };
}

function assertUrlRoot(root: string): void {
  const problem = problemOfRoot(root);
  if (problem !== undefined) throw new AmalgamError("usage", `Cannot use ${quote(shown(root))} as a root: ${problem}`);
}

/** Whether a URL is one of the roots or below one. */
export function isBelowOne(url: string, urls: readonly string[]): boolean {
  return urls.some((root) => isBelow(url, root));
}

function outsideUrls(urls: readonly string[]): string {
  return urls.length === 0 ? "no URL is among the agent's roots" : `it is not below ${quoteList(urls)}`;
}

function resolveRoot(folder: string): string {
  try {
    const root = realpathSync(folder);
    if (statSync(root).isDirectory()) return root;
  } catch (error) {
    throw new AmalgamError("usage", `Cannot use ${quote(folder)} as a root: ${readingProblem(error)}`, {
      cause: error,
    });
  }
  throw new AmalgamError("usage", `Cannot use ${quote(folder)} as a root: it is not a folder`);
}

/** A file that exists may be a link that leads out, so it is resolved itself; otherwise its folder is. */
function resolveWritable(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    // A link to nothing would be created where it leads.
    const isMissing = lstatSync(path, { throwIfNoEntry: false }) === undefined;
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" || !isMissing) throw error;
    return join(realpathSync(dirname(path)), basename(path));
  }
}

/** Whether a resolved path is one of the roots or below one. */
export function isInsideOne(path: string, roots: readonly string[]): boolean {
  return roots.some((root) => path === root || path.startsWith(root.endsWith(sep) ? root : root + sep));
}

/** Why a path is refused. */
export function outside(roots: readonly string[]): string {
  return roots.length === 0 ? "the agent was started without a root" : `it is outside ${quoteList(roots)}`;
}
