import { type KeyObject, sign, verify } from "node:crypto";
import { z } from "zod";
import { hashOf, keyId } from "./keys.js";

// The envelope of secure-systems-lab/dsse, version 1.0.2: a payload, what it is, and signatures over both.

const base64 = z
  .string()
  .regex(/^[A-Za-z0-9+/_-]+={0,2}$/)
  .max(32 << 20);

export const envelopeSchema = z.object({
  payload: base64,
  payloadType: z.string().max(256),
  signatures: z
    .array(z.object({ sig: base64.max(4_096), keyid: z.string().max(1_024).nullish() }))
    .min(1)
    .max(100),
});

export type Envelope = z.infer<typeof envelopeSchema>;

/** What is signed: type and payload with their lengths, so that neither can be taken for a part of the other. */
export function preAuthenticationEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const type = Buffer.from(payloadType);
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} `), type, Buffer.from(` ${payload.length} `), payload]);
}

/** With an Ed25519 key the same payload gives the same envelope; ECDSA signs with a new random number each time. */
export function signEnvelope(payloadType: string, payload: Uint8Array, key: KeyObject): Envelope {
  const sig = sign(hashOf(key), preAuthenticationEncoding(payloadType, payload), key).toString("base64");
  return {
    payload: Buffer.from(payload).toString("base64"),
    payloadType,
    signatures: [{ sig, keyid: keyId(key) }],
  };
}

/** The payload, if one of the signatures is this key's. Key ids are hints, and decide nothing. */
export function openEnvelope({ payload, payloadType, signatures }: Envelope, key: KeyObject): Buffer | undefined {
  const bytes = Buffer.from(payload, "base64");
  const signed = preAuthenticationEncoding(payloadType, bytes);
  const isOurs = signatures.some(({ sig }) => {
    try {
      return verify(hashOf(key), signed, key, Buffer.from(sig, "base64"));
    } catch {
      // Not even of the form that this kind of key signs in.
      return false;
    }
  });
  return isOurs ? bytes : undefined;
}
