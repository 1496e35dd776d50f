import { z } from "zod";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import { type HubAddress, isCommit } from "../hub-address.js";

/** A file of a model's, as the Hub lists it. */
export interface HubFile {
  /** Below the model's folder, with slashes. */
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 of a file in LFS, else the id of git's blob, which is a SHA-1. */
  readonly version: string;
}

export interface HubModelInfo {
  readonly commit: string;
  readonly files: readonly HubFile[];
  readonly license: string | undefined;
}

/** The longest list of files that is read; a name and its digests take some 300 bytes. */
export const maxModelInfoBytes = 64 << 20;

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);
const siblingSchema = z.object({
  rfilename: z.string(),
  size: z.int().nonnegative().optional(),
  blobId: z
    .string()
    .regex(/^[0-9a-f]{40}$/)
    .optional(),
  lfs: z.object({ sha256: sha256Schema, size: z.int().nonnegative() }).nullish(),
});
const infoSchema = z.object({
  sha: z.string().refine(isCommit),
  siblings: z.array(siblingSchema).default([]),
  cardData: z.object({ license: z.unknown().optional() }).nullish(),
  tags: z.array(z.string()).nullish(),
});

/** The API's path of a model at a revision, with the sizes and digests of its files. */
export function modelInfoPath({ owner, name, revision = "main" }: HubAddress): string {
  return `/api/models/${owner}/${name}/revision/${encodeURIComponent(revision)}?blobs=true`;
}

/** Checks and reads the API's answer; files without size or digest are left out, as no plan could hold them fast. */
export function parseModelInfo(bytes: Uint8Array, url: string): HubModelInfo {
  const parsed = infoSchema.safeParse(jsonOf(bytes));
  if (!parsed.success) {
    throw new AmalgamError(
      "source_failed",
      `Cannot find ${quote(url)}: what answers there is no Hub, or one that speaks otherwise`,
      { cause: parsed.error, details: { file: url } },
    );
  }
  const { sha, siblings, cardData, tags } = parsed.data;
  const files = siblings.flatMap(({ rfilename, size, blobId, lfs }) => {
    const [bytes, version] = lfs ? [lfs.size, lfs.sha256] : [size, blobId];
    return bytes === undefined || version === undefined ? [] : [{ path: rfilename, bytes, version }];
  });
  const licenses = [...[cardData?.license].flat(), ...tagged(tags ?? [])];
  return { commit: sha, files, license: licenses.find(isLicense) };
}

function tagged(tags: readonly string[]): readonly string[] {
  return tags.filter((tag) => tag.startsWith("license:")).map((tag) => tag.slice("license:".length));
}

/** It goes into manifests and model cards, so nothing but a plain word will do. */
function isLicense(found: unknown): found is string {
  return typeof found === "string" && /^[\w.+-]{1,100}$/.test(found);
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined;
  }
}
