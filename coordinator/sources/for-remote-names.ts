import { mapBounded } from "../../shared/checkpoint/bounded.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { findFolder, noneOf } from "../plan/find-folder.js";
import type { Complaints } from "../recipe/complaints.js";
import type { Located, ModelReference } from "../recipe/recipe.js";
import { partKey, partsOf, type RemoteName, writtenPart } from "./remote-names.js";

export interface RemoteNames {
  /** The file that names them, for messages. */
  readonly file: string;
  /** Where paths start from. @default the file */
  readonly home?: string | undefined;
  readonly references: readonly Located<ModelReference>[];
  /** Those of them that are on servers; see `remoteNamesOf()`. */
  readonly names: ReadonlyMap<string, RemoteName>;
  /** Done with at once. */
  readonly concurrency: number;
  /** The Hub is not asked, so that what may be meant as a path is one unless the cache has it. */
  readonly isOffline: boolean;
}

/**
 * Does something with every model that is on a server. Complains of all that cannot be had, and of paths that lead nowhere,
 * at once; fails with what else an act fails with, in words that tell which name it was about.
 */
export async function forRemoteNames<T>(
  { file, home = file, references, names, concurrency, isOffline }: RemoteNames,
  complaints: Complaints,
  act: (name: RemoteName) => Promise<T>,
): Promise<ReadonlyMap<string, T>> {
  const results = await mapBounded([...names], concurrency, async ([key, name]) => {
    try {
      return [[key, await act(name)] as const];
    } catch (reason) {
      const error = ofName(reason, name);
      if (isOffline && name.notHere !== undefined && error.code === "source_refused") return [];
      if (!isModels(error)) throw atPlace(error, name, file);
      complaints.add(name.at, error.message);
      return [];
    }
  });
  if (complaints.any) await complainOfPaths(references, names, home, complaints);
  complaints.throwIfAny();
  return new Map(results.flat());
}

/** A name that may have been meant as a path is told about as both. */
export function ofName(
  reason: unknown,
  { what, part, notHere }: Pick<RemoteName, "what" | "part" | "notHere">,
): AmalgamError {
  const error = AmalgamError.from(reason);
  if (error.code === "canceled" || error.code === "checkpoint_changed") return error;
  const why = notHere === undefined ? error.message : `${noneOf(notHere)}, and on the Hub: ${error.message}`;
  const message = `Cannot find ${what} ${quote(writtenPart(part))}: ${why}`;
  return new AmalgamError(error.code, message, { cause: error, details: error.details });
}

/** A complaint is given its place by those that it is listed with; what else goes wrong is not. Names that may be paths say so in `details.guess`. */
function atPlace(error: AmalgamError, { at, part, notHere }: RemoteName, file: string): AmalgamError {
  if (error.code === "canceled" || error.code === "checkpoint_changed") return error;
  const { code, message } = error;
  const details = { ...error.details, ...(notHere !== undefined && { guess: writtenPart(part) }) };
  return new AmalgamError(code, `${at.file ?? file}:${at.line}:${at.column}  ${message}`, { cause: error, details });
}

/** Whether the recipe is at fault, or the model, and not the way to it. */
function isModels({ code }: AmalgamError): boolean {
  return code === "source_refused" || code === "checkpoint_malformed" || code === "path_refused";
}

/** What planning would find next. */
async function complainOfPaths(
  references: RemoteNames["references"],
  names: RemoteNames["names"],
  home: string,
  complaints: Complaints,
): Promise<void> {
  const seen = new Set(names.keys());
  for (const { value, at } of references) {
    if (value.stage !== undefined) continue;
    for (const [what, part] of partsOf(value)) {
      if (seen.has(partKey(part)) || part.path.includes("://")) continue;
      seen.add(partKey(part));
      await findFolder(what, part.path, at, home, complaints);
    }
  }
}
