import type { KeyObject } from "node:crypto";
import { join } from "node:path";
import { z } from "zod";
import { readSmallFile } from "../../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { type Envelope, envelopeSchema, signEnvelope } from "./dsse.js";
import { keyHint } from "./keys.js";
import { type Sign, signatureName } from "./sign.js";
import { formatStatement, payloadType } from "./statement.js";

/** A signature of 10,000 files has 3 MB. */
const maxSignatureBytes = 32 << 20;

const mediaType = "application/vnd.dev.sigstore.bundle.v0.3+json";

/** Sigstore's bundle, of which a signature by a key uses little: the envelope, and a hint which key it was. */
const bundleSchema = z.object({
  mediaType: z.literal(mediaType),
  verificationMaterial: z.looseObject({
    publicKey: z.looseObject({ hint: z.string().max(1_024).nullish() }).optional(),
  }),
  dsseEnvelope: envelopeSchema,
});

export interface SignatureFile {
  readonly envelope: Envelope;
  /** See {@link keyHint}. */
  readonly hint: string | undefined;
}

export function signWith(key: KeyObject): Sign {
  return (files) => {
    const dsseEnvelope = signEnvelope(payloadType, formatStatement(files), key);
    const verificationMaterial = { publicKey: { hint: keyHint(key) }, tlogEntries: [] };
    return `${JSON.stringify({ mediaType, verificationMaterial, dsseEnvelope }, null, 2)}\n`;
  };
}

/** Undefined: the output is not signed. Throws `checkpoint_malformed` for a file that is no signature by a key. */
export async function readSignature(directory: string): Promise<SignatureFile | undefined> {
  const path = join(directory, signatureName);
  let text: string;
  try {
    const options = { name: signatureName, maxBytes: maxSignatureBytes, followLinks: false };
    text = Buffer.from(await readSmallFile(path, options)).toString();
  } catch (error) {
    const reason = AmalgamError.from(error);
    if (reason.details["errno"] === "ENOENT") return undefined;
    throw reason;
  }
  const parsed = bundleSchema.safeParse(parseJson(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue === undefined || issue.path.length === 0 ? "it" : quote(issue.path.join("."));
    const problem = `${where} is not that of a signature by a key (${issue?.message ?? "unknown"})`;
    throw new AmalgamError("checkpoint_malformed", `Cannot read ${quote(signatureName)}: ${problem}`);
  }
  const { verificationMaterial, dsseEnvelope } = parsed.data;
  return { envelope: dsseEnvelope, hint: verificationMaterial.publicKey?.hint ?? undefined };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
