import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { mapBounded } from "../../shared/checkpoint/bounded.js";
import { openCheckpoint } from "../../shared/checkpoint/open.js";
import { readHeader } from "../../shared/checkpoint/read-header.js";
import { AmalgamError } from "../../shared/errors.js";
import { formatCount, quote } from "../../shared/quote.js";
import { type Manifest, type ManifestFile, manifestName, readManifest } from "../assemble/manifest.js";
import { hashFile } from "../assemble/reading.js";
import { adapterWeightsName } from "../lora/adapter.js";
import { signatureName } from "../provenance/signing/sign.js";
import { type TrustedKey, verifySignature } from "../provenance/signing/verify-signature.js";
import { type Finding, reportOn, type VerifyReport } from "./verify-report.js";

export interface VerifyOptions {
  /** Who must have signed the output, all of it. Default: nobody need have. */
  readonly key?: TrustedKey | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after each file. */
  readonly onFile?: ((file: string, bytes: number) => void) | undefined;
}

/** Files looked at at once; how many are read at once is decided where they are read. */
const concurrency = 8;

/**
 * Checks an output directory against its own `amalgam.json`, every byte of it, without network or source models. Throws
 * only when there is no readable manifest; everything else is a finding, so that one report names all that is wrong.
 * The model card is not checked, since people edit it; with a key it is, with everything else that was signed.
 */
export async function verifyOutput(directory: string, options: VerifyOptions = {}): Promise<VerifyReport> {
  const manifest = await readManifest(directory);
  const weights = manifest.weights.map((file) => ({ ...file, isWeights: true }));
  const companions = manifest.companions.map((file) => ({ ...file, isWeights: false }));
  const listed = [...weights, ...companions];
  const found = await mapBounded(listed, concurrency, async (file) => {
    const finding = await checkFile(directory, file, options.signal);
    options.onFile?.(file.name, file.bytes);
    return finding ?? [];
  });
  const signature = await checkSignature(directory, listed, found.flat(), options);
  const findings = [
    ...found.flat(),
    ...signature.findings,
    ...(await findExtraWeights(directory, new Set(weights.map(({ name }) => name)))),
    ...(found.flat().length === 0 && weights.length > 0 ? await checkIndex(directory, manifest) : []),
  ];
  return reportOn(directory, manifest, findings, signature.state);
}

/** What a file's own finding says already is not said again. */
async function checkSignature(
  directory: string,
  listed: readonly ManifestFile[],
  found: readonly Finding[],
  { key, signal }: VerifyOptions,
): Promise<{ readonly state: VerifyReport["signature"]; readonly findings: readonly Finding[] }> {
  if (key === undefined) {
    const isThere = await lstat(join(directory, signatureName)).then(
      () => true,
      () => false,
    );
    return { state: isThere ? "unchecked" : "none", findings: [] };
  }
  const wrong = new Set(found.map(({ file }) => file));
  const known = new Map(listed.filter(({ name }) => !wrong.has(name)).map(({ name, sha256 }) => [name, sha256]));
  const findings = await verifySignature(directory, key, known, signal);
  const isInvalid = findings.length + found.length > 0;
  return { state: isInvalid ? "invalid" : "valid", findings: findings.filter(({ file }) => !wrong.has(file)) };
}

/** The first thing that is wrong with a file: what comes after it follows from it. */
async function checkFile(
  directory: string,
  { name, bytes, sha256, isWeights }: ManifestFile & { readonly isWeights: boolean },
  signal: AbortSignal | undefined,
): Promise<Finding | undefined> {
  const path = join(directory, name);
  const stats = await lstat(path).catch(() => undefined);
  if (stats === undefined) return { file: name, kind: "missing", problem: `${quote(name)} is missing` };
  if (!stats.isFile()) return { file: name, kind: "unreadable", problem: `${quote(name)} is not a regular file` };
  if (stats.size !== bytes) {
    const problem = `${quote(name)} has ${formatCount(stats.size)} bytes and should have ${formatCount(bytes)}`;
    return { file: name, kind: "size", problem };
  }
  try {
    if (isWeights) await readHeader(path, { name, followLinks: false });
  } catch (error) {
    return { file: name, kind: "header", problem: AmalgamError.from(error).message };
  }
  try {
    const found = await hashFile(path, bytes, signal);
    if (found === sha256) return undefined;
    return {
      file: name,
      kind: "digest",
      problem: `${quote(name)} was changed: its SHA-256 is ${found} and should be ${sha256}`,
    };
  } catch (error) {
    signal?.throwIfAborted();
    return { file: name, kind: "unreadable", problem: AmalgamError.from(error).message };
  }
}

/** Weights that the manifest does not know: a loader without an index might pick them up. */
async function findExtraWeights(directory: string, known: ReadonlySet<string>): Promise<Finding[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(".safetensors") && !known.has(name));
  return names.map((file) => ({
    file,
    kind: "extra",
    problem: `${quote(file)} holds weights that ${quote(manifestName)} does not know`,
  }));
}

/** Whether index and headers agree, and name as many tensors as were merged. */
async function checkIndex(directory: string, { weights, tensors: rows }: Manifest): Promise<Finding[]> {
  const tensors = rows.length;
  try {
    const adapter = weights.find(({ name }) => name === adapterWeightsName);
    const checkpoint = await openCheckpoint(adapter === undefined ? directory : join(directory, adapter.name));
    if (checkpoint.tensors.size === tensors) return [];
    const counts = `${formatCount(checkpoint.tensors.size)} tensors and should have ${formatCount(tensors)}`;
    return [{ file: manifestName, kind: "index", problem: `The checkpoint has ${counts}` }];
  } catch (error) {
    return [{ file: manifestName, kind: "index", problem: AmalgamError.from(error).message }];
  }
}
