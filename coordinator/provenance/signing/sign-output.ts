import { randomUUID } from "node:crypto";
import { lstat, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { syncDirectory, writeDurably, writeError } from "../../assemble/durable.js";
import { readManifest } from "../../assemble/manifest.js";
import { hashFile } from "../../assemble/reading.js";
import { verifyOutput } from "../../inspect/verify.js";
import { plainName } from "../facts.js";
import { type Sign, signatureName } from "./sign.js";
import { type SignedFile, unsignedNames } from "./statement.js";

const unfinishedPrefix = `.${signatureName}.`;

/**
 * Signs a finished output with all the files that are in it, in place of the signature that it may have. One that is not
 * what its manifest says is refused with `checkpoint_malformed`; what people added or edited since is signed as it is.
 */
export async function signOutput(directory: string, sign: Sign, signal?: AbortSignal): Promise<readonly SignedFile[]> {
  const { findings } = await verifyOutput(directory, { signal });
  const [finding] = findings;
  if (finding !== undefined) {
    throw new AmalgamError("checkpoint_malformed", `Cannot sign ${quote(directory)}: ${finding.problem}`);
  }
  await removeUnfinished(directory);
  const files = await listFiles(directory, signal);
  const unfinished = join(directory, `${unfinishedPrefix}${randomUUID()}`);
  try {
    await writeDurably(unfinished, sign(files));
    await rename(unfinished, join(directory, signatureName));
    await syncDirectory(directory);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw writeError(error, "write", join(directory, signatureName));
  }
  return files;
}

/** What a process left that was ended as it signed would be signed by the next one. */
async function removeUnfinished(directory: string): Promise<void> {
  const names = (await readdir(directory)).filter((name) => name.startsWith(unfinishedPrefix));
  for (const name of names) await rm(join(directory, name), { force: true });
}

async function listFiles(directory: string, signal: AbortSignal | undefined): Promise<readonly SignedFile[]> {
  const { weights, companions } = await readManifest(directory);
  const known = new Map([...weights, ...companions].map(({ name, sha256 }) => [name, sha256]));
  const ignored = new Set<string>(unsignedNames);
  const files: SignedFile[] = [];
  for (const name of (await readdir(directory)).filter((entry) => !ignored.has(entry))) {
    const path = join(directory, name);
    const refuse = (problem: string): AmalgamError => {
      const message = `Cannot sign ${quote(directory)}: ${quote(name)} ${problem}, move it out of the output`;
      return new AmalgamError("checkpoint_malformed", message);
    };
    if (!plainName.safeParse(name).success) throw refuse("has a name that no signature may hold");
    const stats = await lstat(path).catch((error: unknown) => {
      throw refuse(`cannot be read (${AmalgamError.from(error).message})`);
    });
    if (!stats.isFile()) throw refuse("is not a regular file");
    files.push({ name, sha256: known.get(name) ?? (await hashFile(path, stats.size, signal)) });
  }
  return files;
}
