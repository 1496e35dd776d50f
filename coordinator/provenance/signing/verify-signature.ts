import type { KeyObject } from "node:crypto";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { mapBounded } from "../../../shared/checkpoint/bounded.js";
import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { hashFile } from "../../assemble/reading.js";
import { openEnvelope } from "./dsse.js";
import { keyHint, keyId } from "./keys.js";
import { signatureName } from "./sign.js";
import { readSignature, type SignatureFile } from "./signature-file.js";
import { parseStatement, payloadType, type SignedFile, unsignedNames } from "./statement.js";

/** What a signature has to say against one file. */
export interface SignatureFinding {
  readonly file: string;
  readonly kind: "signature" | "missing" | "digest" | "unsigned" | "unreadable";
  /** A sentence that names the file. */
  readonly problem: string;
}

/** A public key and the file that it is from. */
export interface TrustedKey {
  readonly key: KeyObject;
  readonly name: string;
}

/** Files hashed at once; how many are read at once is decided where they are read. */
const concurrency = 8;

/**
 * Checks a directory against its signature: that this key signed, and then that the directory has the files that were
 * signed, unchanged, and no others. `known`: SHA-256 of files that were hashed already.
 */
export async function verifySignature(
  directory: string,
  trusted: TrustedKey,
  known: ReadonlyMap<string, string>,
  signal?: AbortSignal,
): Promise<readonly SignatureFinding[]> {
  const signed = await openSignature(directory, trusted);
  if (typeof signed === "string") return [{ file: signatureName, kind: "signature", problem: signed }];
  const found = await mapBounded(signed, concurrency, (file) => checkFile(directory, file, known, signal));
  return [...found.filter((finding) => finding !== undefined), ...(await findUnsigned(directory, signed))];
}

/** The files that the key signed, or why there are none. */
async function openSignature(directory: string, trusted: TrustedKey): Promise<readonly SignedFile[] | string> {
  let signature: SignatureFile | undefined;
  try {
    signature = await readSignature(directory);
  } catch (error) {
    return AmalgamError.from(error).message;
  }
  if (signature === undefined) return `${quote(signatureName)} is missing: the output is not signed`;
  const payload = openEnvelope(signature.envelope, trusted.key);
  if (payload === undefined) return whyNot(signature, trusted);
  const { payloadType: type } = signature.envelope;
  if (type !== payloadType) return `${quote(signatureName)} signs ${quote(type)}, which is no statement about a model`;
  const files = parseStatement(payload);
  return typeof files === "string" ? `${quote(signatureName)} signs what cannot be read: ${files}` : files;
}

/** Ids and hints are not signed, so they explain a failure and never a success. */
function whyNot({ envelope, hint }: SignatureFile, { key, name }: TrustedKey): string {
  const id = keyId(key);
  const ids = envelope.signatures.flatMap(({ keyid }) =>
    keyid === undefined || keyid === null || keyid === "" ? [] : [keyid],
  );
  if (ids.includes(id) || (ids.length === 0 && hint === keyHint(key))) {
    return `${quote(signatureName)} was altered: what it says is not what the key in ${quote(name)} signed`;
  }
  const others = ids.length === 0 ? "" : ` (${ids.map((other) => quote(other)).join(", ")})`;
  return `${quote(signatureName)} was signed with another key${others} than that in ${quote(name)} (${quote(id)})`;
}

async function checkFile(
  directory: string,
  { name, sha256 }: SignedFile,
  known: ReadonlyMap<string, string>,
  signal: AbortSignal | undefined,
): Promise<SignatureFinding | undefined> {
  const path = join(directory, name);
  const stats = await lstat(path).catch(() => undefined);
  if (stats === undefined) return { file: name, kind: "missing", problem: `${quote(name)} was signed and is missing` };
  if (!stats.isFile()) return { file: name, kind: "unreadable", problem: `${quote(name)} is not a regular file` };
  try {
    const found = known.get(name) ?? (await hashFile(path, stats.size, signal));
    if (found === sha256) return undefined;
    const problem = `${quote(name)} was changed after it was signed: its SHA-256 is ${found} and should be ${sha256}`;
    return { file: name, kind: "digest", problem };
  } catch (error) {
    signal?.throwIfAborted();
    return { file: name, kind: "unreadable", problem: AmalgamError.from(error).message };
  }
}

async function findUnsigned(directory: string, signed: readonly SignedFile[]): Promise<readonly SignatureFinding[]> {
  const names = new Set<string>([...unsignedNames, ...signed.map(({ name }) => name)]);
  return (await readdir(directory))
    .filter((name) => !names.has(name))
    .map((file) => ({ file, kind: "unsigned", problem: `${quote(file)} is not among the files that were signed` }));
}
