import { createHash } from "node:crypto";
import { mapBounded } from "../../shared/checkpoint/bounded.js";
import { AmalgamError } from "../../shared/errors.js";
import { formatCount, quote } from "../../shared/quote.js";
import type { RemoteFile, RemoteModel, RemoteStore } from "../../shared/remote/remote-store.js";
import { type Manifest, type ManifestFile, manifestName, maxManifestBytes } from "../assemble/manifest.js";
import { parseManifest } from "../assemble/parse-manifest.js";
import { signatureName } from "../provenance/signing/sign.js";
import { type Finding, reportOn, type VerifyReport } from "./verify-report.js";

/** Files read at once; how many bytes are on their way is the store's to bound. */
const concurrency = 4;
/** Asked for at a time, so that one file does not keep the others waiting. */
const stretchBytes = 16 << 20;

/**
 * Checks an output on a server against its own `amalgam.json`, every byte of it, without storing any. Throws only when
 * there is no readable manifest, or the server does not work; everything else is a finding.
 */
export async function verifyRemote(url: string, store: RemoteStore, signal?: AbortSignal): Promise<VerifyReport> {
  const model = await store.find(url, signal);
  const manifest = await readRemoteManifest(model, store, signal);
  const listed = [...manifest.weights, ...manifest.companions];
  const found = await mapBounded(listed, concurrency, async (file) => {
    return (await checkFile(model, file, store, signal)) ?? [];
  });
  const findings = [...found.flat(), ...extraWeights(model, manifest)];
  return reportOn(model.url, manifest, findings, model.files.has(signatureName) ? "unchecked" : "none");
}

async function readRemoteManifest(
  { url, files }: RemoteModel,
  store: RemoteStore,
  signal: AbortSignal | undefined,
): Promise<Manifest> {
  const file = files.get(manifestName);
  const problem =
    file === undefined
      ? "it is missing: either Amalgam did not make this, or it is not whole"
      : file.bytes > maxManifestBytes
        ? `it has ${formatCount(file.bytes)} bytes`
        : undefined;
  if (file === undefined || problem !== undefined) {
    throw new AmalgamError(
      "checkpoint_malformed",
      `Cannot read manifest ${quote(`${url}/${manifestName}`)}: ${problem}`,
    );
  }
  const text = Buffer.alloc(file.bytes);
  let at = 0;
  const take = (bytes: Uint8Array): void => {
    text.set(bytes, at);
    at += bytes.length;
  };
  await store.read(file, { offset: 0, length: file.bytes }, take, signal);
  return parseManifest(text.toString(), file.url);
}

async function checkFile(
  { files }: RemoteModel,
  { name, bytes, sha256 }: ManifestFile,
  store: RemoteStore,
  signal: AbortSignal | undefined,
): Promise<Finding | undefined> {
  const file = files.get(name);
  if (file === undefined) return { file: name, kind: "missing", problem: `${quote(name)} is missing` };
  if (file.bytes !== bytes) {
    const problem = `${quote(name)} has ${formatCount(file.bytes)} bytes and should have ${formatCount(bytes)}`;
    return { file: name, kind: "size", problem };
  }
  const found = await hashRemote(file, store, signal);
  if (found === sha256) return undefined;
  const problem = `${quote(name)} was changed: its SHA-256 is ${found} and should be ${sha256}`;
  return { file: name, kind: "digest", problem };
}

async function hashRemote(file: RemoteFile, store: RemoteStore, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash("sha256");
  for (let offset = 0; offset < file.bytes; offset += stretchBytes) {
    const length = Math.min(stretchBytes, file.bytes - offset);
    await store.read(file, { offset, length }, (bytes) => void hash.update(bytes), signal);
  }
  return hash.digest("hex");
}

/** Weights that the manifest does not know: a loader without an index might pick them up. */
function extraWeights({ files }: RemoteModel, { weights }: Manifest): readonly Finding[] {
  const known = new Set(weights.map(({ name }) => name));
  return [...files.keys()]
    .filter((name) => name.endsWith(".safetensors") && !known.has(name))
    .map((file) => {
      const problem = `${quote(file)} holds weights that ${quote(manifestName)} does not know`;
      return { file, kind: "extra", problem };
    });
}
