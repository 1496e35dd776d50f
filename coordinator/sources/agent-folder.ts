import { dirname, posix } from "node:path";
import { toSafeNumber } from "../../shared/bytes.js";
import type { AgentClient } from "../dispatch/agents.js";
import { fetchRange } from "./fetch-range.js";
import { type ElsewhereFile, mirrorFolder } from "./mirror-folder.js";

/** Where an agent has a file, and when it was last modified there: a mirror's own time may be rounded. */
export interface MirroredFile {
  readonly path: string;
  readonly modifiedMs: number;
}

export interface AgentFolderOptions {
  readonly client: Pick<AgentClient, "list" | "read">;
  /** On the agent's machine: a folder, or one safetensors file in it. */
  readonly path: string;
  /** Where the mirror of `path` goes. */
  readonly target: string;
  readonly signal?: AbortSignal | undefined;
}

const concurrency = 4;
const listTimeoutMs = 60_000;

/** Mirrors a model that an agent has. Returns where each of its files really is, by its path in the mirror. */
export async function mirrorAgentFolder(options: AgentFolderOptions): Promise<ReadonlyMap<string, MirroredFile>> {
  const { client, path, target, signal } = options;
  const isFile = path.endsWith(".safetensors");
  const [folder, into] = isFile ? [posix.dirname(path), dirname(target)] : [path, target];
  const { entries } = await client.list({ path: folder }, { timeoutMs: listTimeoutMs, ...(signal && { signal }) });
  const files = entries.flatMap(({ name, isFolder, bytes, modifiedMs }): ElsewhereFile[] => {
    if (isFolder) return [];
    const file = { path: posix.join(folder, name), bytes, modifiedMs };
    return [
      {
        name,
        bytes: toSafeNumber(bytes),
        read: (offset, length) => fetchRange(client, file, offset, length, signal),
        modifiedMs: () => modifiedMs,
      },
    ];
  });
  const only = isFile ? posix.basename(path) : undefined;
  const copies = await mirrorFolder({ model: path, files, into, only, concurrency });
  return new Map(
    [...copies].map(([name, copy]) => [copy.path, { path: posix.join(folder, name), modifiedMs: copy.modifiedMs }]),
  );
}
