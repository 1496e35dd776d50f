import { resolve } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { DownloadProgress } from "../../shared/remote/download.js";
import { findInHubCache } from "../../shared/remote/hub/cache.js";
import { isOffline } from "../../shared/remote/hub/settings.js";
import { hubUrl } from "../../shared/remote/hub-address.js";
import { isRemote } from "../../shared/remote/url.js";
import { firstThere } from "../plan/find-folder.js";
import { Complaints } from "../recipe/complaints.js";
import type { Located, ModelReference } from "../recipe/recipe.js";
import { forRemoteNames, ofName } from "./for-remote-names.js";
import type { OtherPath } from "./other-paths.js";
import { guessing } from "./remote-access.js";
import { partKey, remoteNamesOf, urlOf, writtenPart } from "./remote-names.js";

export interface CopyOptions {
  /** The file that relative paths start from. @default the one that names the models */
  readonly home?: string | undefined;
  /** @default process.env */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** `model`: as it is called where it is named. */
  readonly onProgress?: ((model: string, progress: DownloadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A model on this machine, and where it is from. */
export interface LocalCopy {
  readonly path: string;
  /** With what was left open filled in. Undefined: it was always here. */
  readonly url: string | undefined;
}

/**
 * Downloads the models of the references that are on servers, for commands that read all of a model, and says where each
 * is now. Fails as `forRemoteNames()` does.
 */
export async function copyReferences(
  references: readonly Located<ModelReference>[],
  file: string,
  options: CopyOptions = {},
): Promise<OtherPath> {
  const complaints = new Complaints(file);
  const { home = file, env = process.env } = options;
  const names = await remoteNamesOf(references, home, complaints);
  complaints.throwIfAny();
  if (names.size === 0) return () => undefined;
  const asked = { file, home, references, names, concurrency: 1, isOffline: isOffline(env) };
  const copies = await forRemoteNames(asked, complaints, ({ url, part, notHere }) =>
    copyOne(url, { model: writtenPart(part), isGuess: notHere !== undefined }, options),
  );
  return (part) => copies.get(partKey(part))?.path;
}

/**
 * The same for a model that a command line names, by a path, an address, or as `owner/name[@revision]` where no such path
 * is there. A path that leads nowhere comes back as it is.
 */
export async function localModel(name: string, options: CopyOptions = {}): Promise<LocalCopy> {
  const part = { path: name };
  const folders = [resolve(name)];
  const isAddress = isRemote(name);
  if (!isAddress && (await firstThere(folders)) !== undefined) return { path: name, url: undefined };
  const { url, problem } = isAddress ? urlOf(part) : { url: hubUrl(name), problem: undefined };
  if (problem !== undefined) {
    throw new AmalgamError("usage", `Cannot use model ${quote(writtenPart(part))}: ${problem}`);
  }
  if (url === undefined) return { path: name, url: undefined };
  try {
    return await copyOne(url, { model: writtenPart(part), isGuess: !isAddress }, options);
  } catch (reason) {
    throw ofName(reason, { what: "model", part, notHere: isAddress ? undefined : folders });
  }
}

async function copyOne(
  url: string,
  { model, isGuess }: { readonly model: string; readonly isGuess: boolean },
  { env = process.env, onProgress, signal }: CopyOptions,
): Promise<LocalCopy> {
  const cached = isOffline(env) ? await findInHubCache(url, env) : undefined;
  if (cached !== undefined) return { path: cached.directory, url };
  const [{ openRemoteStore }, { downloadModel }] = await Promise.all([
    import("../../shared/remote/open.js"),
    import("../../shared/remote/download.js"),
  ]);
  const [store, finder] = [openRemoteStore({ env }), openRemoteStore({ env, ...(isGuess && guessing) })];
  try {
    const found = await finder.find(url, signal);
    const report = (progress: DownloadProgress): void => onProgress?.(model, progress);
    const path = await downloadModel(store, found, { env, asked: url, onProgress: report, signal });
    return { path, url: found.url };
  } finally {
    await Promise.all([store.close(), finder.close()]);
  }
}
