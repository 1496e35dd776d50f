import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdir, open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { readSmallFile } from "../../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { manifestName } from "../../assemble/manifest.js";

/** Names the variable with the passphrase of an encrypted private key. */
export const passphraseVariable = "AMALGAM_SIGN_PASSPHRASE";

/** An RSA key of 16,384 bits, which we refuse, has 13 KB. */
const maxKeyBytes = 64 << 10;

/** By OpenSSL's names: the hash that is signed, as sigstore has it for each curve. */
const curves: Readonly<Record<string, string>> = { prime256v1: "sha256", secp384r1: "sha384", secp521r1: "sha512" };

/** Reads a private key in PEM. Errors name the file and never what is in it. */
export async function readPrivateKey(file: string, passphrase: string | undefined): Promise<KeyObject> {
  const pem = Buffer.from(await readKey(file));
  if (/-----BEGIN (?:EC )?PUBLIC KEY-----/.test(pem.toString("latin1"))) {
    throw refused("sign with", file, "it holds a public key, and signing takes the private one");
  }
  const isEncrypted = /ENCRYPTED/.test(pem.toString("latin1"));
  if (isEncrypted && passphrase === undefined) {
    throw refused("sign with", file, `it is encrypted: put its passphrase into ${passphraseVariable}`);
  }
  try {
    return supported(createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) }), file);
  } catch (error) {
    if (error instanceof AmalgamError) throw error;
    const reason = isEncrypted ? `its passphrase is not that in ${passphraseVariable}` : "it is no private key in PEM";
    throw refused("sign with", file, reason);
  }
}

/** Whether everybody on this machine can read a file. */
export async function isOpenToAll(file: string): Promise<boolean> {
  return process.platform !== "win32" && ((await stat(file)).mode & 0o004) !== 0;
}

/** Reads a public key in PEM; a certificate and a private key hold one too. */
export async function readPublicKey(file: string): Promise<KeyObject> {
  const pem = Buffer.from(await readKey(file));
  try {
    return supported(createPublicKey(pem), file);
  } catch (error) {
    if (error instanceof AmalgamError) throw error;
    const isEncrypted = /ENCRYPTED/.test(pem.toString("latin1"));
    const reason = isEncrypted ? "it is an encrypted private key, name the public one" : "it is no public key in PEM";
    throw refused("verify with", file, reason);
  }
}

async function readKey(file: string): Promise<Uint8Array> {
  try {
    return await readSmallFile(file, { maxBytes: maxKeyBytes });
  } catch (error) {
    const { message } = AmalgamError.from(error);
    throw new AmalgamError("usage", `Cannot read key ${quote(file)}: ${message}`, { cause: error });
  }
}

function supported(key: KeyObject, file: string): KeyObject {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === "ed25519" || (type === "ec" && Object.hasOwn(curves, details?.namedCurve ?? ""))) return key;
  const found = [type, details?.namedCurve].filter((word) => word !== undefined).join(" ");
  throw refused(
    "use",
    file,
    `it is of kind ${quote(found)}, take an ECDSA key (P-256, P-384, P-521) or an Ed25519 one`,
  );
}

function refused(act: string, file: string, problem: string): AmalgamError {
  return new AmalgamError("usage", `Cannot ${act} ${quote(file)}: ${problem}`, { details: { file } });
}

/** What `crypto.sign()` is to hash with; undefined for Ed25519, which does so itself. */
export function hashOf({ asymmetricKeyDetails: details }: KeyObject): string | undefined {
  return curves[details?.namedCurve ?? ""];
}

function publicPart(key: KeyObject): KeyObject {
  return key.type === "private" ? createPublicKey(key) : key;
}

/** SHA-256 of the public key in DER, in hexadecimal. */
export function keyId(key: KeyObject): string {
  const der = publicPart(key).export({ type: "spki", format: "der" });
  return createHash("sha256").update(der).digest("hex");
}

/** SHA-256 of the public key in PEM: how OpenSSF model-signing tells keys apart. */
export function keyHint(key: KeyObject): string {
  const pem = publicPart(key).export({ type: "spki", format: "pem" });
  return createHash("sha256").update(pem).digest("hex");
}

/**
 * Makes a key pair for ECDSA with P-256, which other verifiers of models know too, and returns the paths of its parts.
 * Makes the directory, too. Nothing that is there is overwritten; the private part is for its owner alone. An output is
 * refused as the directory: it is for everybody.
 */
export async function makeKeyPair(directory: string): Promise<{ privateFile: string; publicFile: string; id: string }> {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const files = { privateFile: join(directory, "amalgam-key.pem"), publicFile: join(directory, "amalgam-key.pub.pem") };
  if (await isThere(join(directory, manifestName))) {
    throw unwritable(files.privateFile, "it would be in an output, which is for others to have: name another folder");
  }
  await mkdir(directory, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw unwritable(directory, AmalgamError.from(error).message, error);
  });
  await writeNew(files.publicFile, publicKey.export({ type: "spki", format: "pem" }), 0o644);
  try {
    await writeNew(files.privateFile, privateKey.export({ type: "pkcs8", format: "pem" }), 0o600);
  } catch (error) {
    await rm(files.publicFile, { force: true });
    throw error;
  }
  return { ...files, id: keyId(publicKey) };
}

async function writeNew(file: string, pem: string | Buffer, mode: number): Promise<void> {
  let isOurs = false;
  try {
    await using handle = await open(file, "wx", mode);
    isOurs = true;
    await handle.writeFile(pem);
    await handle.sync();
  } catch (error) {
    if (isOurs) await rm(file, { force: true });
    const { message, details } = AmalgamError.from(error);
    throw unwritable(file, details["errno"] === "EEXIST" ? "it exists, and keys are not overwritten" : message, error);
  }
}

function unwritable(file: string, problem: string, cause?: unknown): AmalgamError {
  return new AmalgamError("output_refused", `Cannot write key ${quote(file)}: ${problem}`, { cause });
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
