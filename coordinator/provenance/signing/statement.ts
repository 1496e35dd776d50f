import { createHash } from "node:crypto";
import { z } from "zod";
import { plainName, sha256 } from "../facts.js";

// What is signed: an in-toto statement (in-toto/attestation, spec v1) with the predicate of the OpenSSF's model signing
// (sigstore/model-transparency), so that its tools verify what we sign, and we what they do.

export const payloadType = "application/vnd.in-toto+json";
const statementType = "https://in-toto.io/Statement/v1";
const predicateType = "https://model_signing/signature/v1.0";

/** Written beside a model by signing it, and by Git: not signed. */
export const unsignedNames = ["model.sig", ".git", ".gitattributes", ".github", ".gitignore"] as const;

/** A file and its SHA-256. */
export interface SignedFile {
  readonly name: string;
  readonly sha256: string;
}

const statementSchema = z.object({
  _type: z.literal(statementType),
  subject: z.tuple([z.object({ name: z.string(), digest: z.object({ sha256 }) })]),
  predicateType: z.literal(predicateType),
  predicate: z.object({
    serialization: z.object({ method: z.literal("files"), hash_type: z.literal("sha256") }),
    resources: z
      .array(z.object({ name: plainName, algorithm: z.literal("sha256"), digest: sha256 }))
      .min(1)
      .max(100_000),
  }),
});

/** The same files give the same bytes, whatever their order. */
export function formatStatement(files: readonly SignedFile[]): Buffer {
  const sorted = files.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return Buffer.from(
    JSON.stringify({
      _type: statementType,
      // Not the folder's name: the same output has the same statement wherever it lies.
      subject: [{ name: "model", digest: { sha256: rootDigest(sorted) } }],
      predicateType,
      predicate: {
        serialization: { method: "files", hash_type: "sha256", allow_symlinks: false, ignore_paths: unsignedNames },
        resources: sorted.map(({ name, sha256: digest }) => ({ name, algorithm: "sha256", digest })),
      },
    }),
  );
}

/** The files that a statement is about, or a sentence that says why it cannot be read. */
export function parseStatement(payload: Buffer): readonly SignedFile[] | string {
  let json: unknown;
  try {
    json = JSON.parse(payload.toString("utf8"));
  } catch {
    return "it is no JSON";
  }
  const parsed = statementSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `its ${JSON.stringify(issue?.path.join(".") ?? "")} is not that of a signed model (${issue?.message ?? "unknown"})`;
  }
  const { subject, predicate } = parsed.data;
  const files = predicate.resources.map(({ name, digest }) => ({ name, sha256: digest }));
  if (new Set(files.map(({ name }) => name)).size < files.length) return "it names a file twice";
  if (rootDigest(files) !== subject[0].digest.sha256) return "its files are not those that its subject stands for";
  return files;
}

/** SHA-256 over all files' digests, in their order. */
function rootDigest(files: readonly SignedFile[]): string {
  const hash = createHash("sha256");
  for (const { sha256: digest } of files) hash.update(Buffer.from(digest, "hex"));
  return hash.digest("hex");
}
