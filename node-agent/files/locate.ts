import { constants } from "node:fs";
import { access, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { mapBounded } from "../../shared/checkpoint/bounded.js";
import { AmalgamError } from "../../shared/errors.js";
import {
  FileState,
  type LocateRequest,
  type LocateResponseSchema,
  type Probe,
  type SourceFile,
} from "../../shared/gen/amalgam/v1/agent_pb.js";
import { isRemote } from "../../shared/remote/url.js";
import { type Confinement, isBelowOne } from "../roots.js";
import { isMissing, resolveBelow } from "./resolve.js";

/** Files in one request. A checkpoint has hundreds. */
const maxFiles = 100_000;

/** A token is a few words of random characters. */
const maxTokenBytes = 1_024;

/** Files looked at at once: enough to hide the latency of a network file system. */
const concurrency = 8;

/** Which files are here as they were planned, and whether the probe is. Nothing but the probe is opened. */
export async function locateFiles(
  { files, probe }: LocateRequest,
  confinement: Confinement,
): Promise<MessageInitShape<typeof LocateResponseSchema>> {
  if (files.length > maxFiles) {
    throw new AmalgamError("usage", `Cannot locate ${files.length} files: ${maxFiles} are the most in one request`);
  }
  return {
    files: await mapBounded(files, concurrency, (file) => stateOf(file, confinement)),
    sharesOutput: probe !== undefined && (await isHere(probe, confinement)),
  };
}

async function stateOf({ path, bytes, modifiedMs }: SourceFile, { roots, urls }: Confinement): Promise<FileState> {
  // The server is not asked: whoever reads from it compares versions.
  if (isRemote(path)) return isBelowOne(path, urls) ? FileState.PRESENT : FileState.REFUSED;
  try {
    const resolved = await resolveBelow(path, roots, "read");
    const stats = await stat(resolved);
    if (!stats.isFile()) return FileState.REFUSED;
    if (BigInt(stats.size) !== bytes || stats.mtimeMs !== modifiedMs) return FileState.CHANGED;
    await access(resolved, constants.R_OK);
    return FileState.PRESENT;
  } catch (error) {
    return isMissing(error) ? FileState.MISSING : FileState.REFUSED;
  }
}

/** The probe was written by the coordinator: who finds its token sees the same folder, and not one of the same name. */
async function isHere({ path, token }: Probe, { roots }: Confinement): Promise<boolean> {
  const expected = Buffer.from(token);
  if (expected.length === 0 || expected.length > maxTokenBytes) return false;
  try {
    const resolved = await resolveBelow(path, roots, "read");
    await access(dirname(resolved), constants.W_OK | constants.X_OK);
    await using file = await open(resolved, constants.O_RDONLY | constants.O_NONBLOCK);
    const found = Buffer.alloc(expected.length + 1);
    const { bytesRead } = await file.read(found, 0, found.length, 0);
    return found.subarray(0, bytesRead).equals(expected);
  } catch {
    return false;
  }
}
