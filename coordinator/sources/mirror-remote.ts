import { Complaints } from "../recipe/complaints.js";
import type { Located, ModelReference } from "../recipe/recipe.js";
import type { RemoteMirrorOptions } from "./mirror-names.js";
import { remoteNamesOf } from "./remote-names.js";
import type { ServerMirror } from "./server-folder.js";

export type { RemoteMirrorOptions } from "./mirror-names.js";

/**
 * Mirrors every model and adapter of the references that is on a server, as far as a plan needs it, and writes down what
 * was found. Returns the mirrors by `partKey()`. Complains of all that cannot be had at once; fails with `source_failed`
 * when a server does not work, and with `checkpoint_changed` when a begun job's model is another one by now.
 */
export async function mirrorRemoteModels(
  references: readonly Located<ModelReference>[],
  file: string,
  options: RemoteMirrorOptions,
): Promise<ReadonlyMap<string, ServerMirror>> {
  const complaints = new Complaints(file);
  const names = await remoteNamesOf(references, file, complaints);
  if (names.size === 0) {
    complaints.throwIfAny();
    return new Map();
  }
  // A merge of local models does without what reads servers.
  const { mirrorNames } = await import("./mirror-names.js");
  return await mirrorNames(names, references, complaints, { ...options, file });
}
