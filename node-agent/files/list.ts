import { opendir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { mapBounded } from "../../shared/checkpoint/bounded.js";
import { fileError } from "../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../shared/errors.js";
import type { FolderEntrySchema, ListResponseSchema } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../shared/quote.js";
import { maxMessageBytes } from "../../shared/rpc/channel.js";
import type { Confinement } from "../roots.js";
import { resolveBelow } from "./resolve.js";

type Entry = MessageInitShape<typeof FolderEntrySchema>;

/** Entries of one folder. */
const maxEntries = 100_000;

/** Bytes that an entry takes in a message beside its name. */
const entryBytes = 40;

const concurrency = 8;

/**
 * The files and folders in a folder below the roots, by name. What is neither, and links that lead out of the roots or
 * nowhere, are left out.
 */
export async function listFolder(
  path: string,
  { roots }: Confinement,
): Promise<MessageInitShape<typeof ListResponseSchema>> {
  const folder = await resolveBelow(path, roots, "list");
  const names = await namesIn(folder, path);
  const entries = await mapBounded(names, concurrency, (name) => entryOf(folder, name, roots));
  return { entries: entries.filter((entry) => entry !== undefined) };
}

async function namesIn(folder: string, path: string): Promise<string[]> {
  const names: string[] = [];
  let bytes = 0;
  try {
    for await (const { name } of await opendir(folder)) {
      names.push(name);
      bytes += Buffer.byteLength(name) + entryBytes;
      if (names.length <= maxEntries && bytes <= maxMessageBytes) continue;
      throw new AmalgamError("usage", `Cannot list ${quote(path)}: it has more than ${names.length - 1} entries`);
    }
  } catch (error) {
    throw fileError(error, path);
  }
  return names.sort();
}

async function entryOf(folder: string, name: string, roots: readonly string[]): Promise<Entry | undefined> {
  try {
    const stats = await stat(await resolveBelow(join(folder, name), roots, "list"));
    if (!stats.isFile() && !stats.isDirectory()) return undefined;
    return { name, isFolder: stats.isDirectory(), bytes: BigInt(stats.size), modifiedMs: stats.mtimeMs };
  } catch {
    return undefined;
  }
}
