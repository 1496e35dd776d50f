import { basename, dirname, resolve } from "node:path";
import { quote } from "../../shared/quote.js";
import { firstThere } from "../plan/find-folder.js";
import type { CopyOptions, LocalCopy } from "../sources/local-copies.js";
import type { DownloadView } from "./download.js";
import type { Terminal } from "./terminal.js";

/** Where models that a command line names are on this machine; those on servers are downloaded first, one by one. */
export async function localModels(
  names: readonly string[],
  { json, signal }: { readonly json: boolean; readonly signal: AbortSignal },
  terminal: Pick<Terminal, "stdout" | "stderr">,
): Promise<readonly LocalCopy[]> {
  const isHere = await Promise.all(names.map(async (name) => (await firstThere([resolve(name)])) !== undefined));
  // The usual case, for which nothing need be loaded.
  if (isHere.every(Boolean)) return names.map((path) => ({ path, url: undefined }));
  const { localModel } = await import("../sources/local-copies.js");
  const copies: LocalCopy[] = [];
  await showingDownloads(json, terminal, async (onProgress) => {
    for (const name of names) copies.push(await localModel(name, { onProgress, signal }));
  });
  return copies;
}

/** Shows downloads of one model after the other, if there are any. */
export async function showingDownloads<T>(
  json: boolean,
  { stdout, stderr }: Pick<Terminal, "stdout" | "stderr">,
  work: (onProgress: NonNullable<CopyOptions["onProgress"]>) => Promise<T>,
): Promise<T> {
  const { jsonLines, shown } = await import("./download.js");
  let current: { readonly model: string; readonly view: DownloadView } | undefined;
  try {
    return await work((model, progress) => {
      if (current?.model !== model) {
        current?.view.close();
        current = { model, view: json ? jsonLines(stdout, model) : shown(stderr, model) };
      }
      current.view.onProgress(progress);
    });
  } finally {
    current?.view.close();
  }
}

/** A model runs from files: those that were downloaded here may be somewhere that agents elsewhere do not see. */
export function tellAgentsElsewhere(
  folders: readonly (string | undefined)[],
  stderr: Pick<NodeJS.WriteStream, "write">,
): void {
  for (const folder of new Set(folders)) {
    if (folder === undefined) continue;
    // What a snapshot of the Hub's cache links to lies beside it.
    const root = basename(dirname(folder)) === "snapshots" ? dirname(dirname(folder)) : folder;
    stderr.write(`note: agents that run elsewhere need ${quote(root)}, which was downloaded here, below a "--root"\n`);
  }
}
