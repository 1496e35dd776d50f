import type { KeyObject } from "node:crypto";
import { realpath } from "node:fs/promises";
import { dirname } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { formatQuantity } from "../plan/report.js";
import { isOpenToAll, keyId, makeKeyPair, passphraseVariable, readPrivateKey } from "../provenance/signing/keys.js";
import { type Sign, signatureName } from "../provenance/signing/sign.js";
import { signOutput } from "../provenance/signing/sign-output.js";
import { signWith } from "../provenance/signing/signature-file.js";
import { isAddress } from "../sinks/work-place.js";
import { interruptible } from "./interrupt.js";
import type { Terminal } from "./terminal.js";

export interface SignOptions {
  /** The file of a private key. */
  readonly key?: string | undefined;
  /** A folder for a new pair of keys. */
  readonly newKey?: string | undefined;
  readonly json: boolean;
}

/** `amalgam sign`: signs an output, or makes a pair of keys, or does one after the other. */
export async function sign(
  output: string | undefined,
  options: SignOptions,
  { stdout, stderr }: Terminal,
): Promise<number> {
  const { newKey, key } = options;
  if (output !== undefined && isAddress(output)) {
    const remedy = "sign it as it is made, with --sign, or sign a copy of it";
    throw new AmalgamError("usage", `Cannot sign ${quote(output)}, which is on a server: ${remedy}`);
  }
  if (newKey !== undefined && key !== undefined) {
    throw new AmalgamError("usage", "Name one of --key and --new-key: a new key is signed with by itself");
  }
  if (output !== undefined && newKey === undefined && key === undefined) {
    throw new AmalgamError("usage", "Name the private key with --key, or make one with --new-key DIR");
  }
  const made = newKey === undefined ? undefined : await makeKeyPair(newKey);
  if (made !== undefined) {
    const { privateFile, publicFile, id } = made;
    stdout.write(
      options.json
        ? `${JSON.stringify({ event: "key", privateFile, publicFile, id })}\n`
        : `${privateFile}: keep it to yourself\n${publicFile}: give it to whoever verifies\n`,
    );
  }
  const file = made?.privateFile ?? key;
  if (output === undefined) {
    if (made === undefined) throw new AmalgamError("usage", "Name the output to sign, or a folder for --new-key");
    return 0;
  }
  if (file === undefined) throw new RangeError("There is a key by now");
  await assertApart(file, output);
  const privateKey = await readSigningKey(file, stderr);
  const files = await interruptible((signal) => signOutput(output, signWith(privateKey), signal));
  const id = keyId(privateKey);
  stdout.write(
    options.json
      ? `${JSON.stringify({ event: "signed", output, signature: signatureName, key: id, files: files.length })}\n`
      : `${output}: ${signatureName} signs ${formatQuantity(files.length, "file")} with key ${id.slice(0, 16)}\n`,
  );
  return 0;
}

/** A private key in an output would be signed with it, and go wherever it goes. */
async function assertApart(key: string, output: string): Promise<void> {
  const [inside, folder] = await Promise.all([dirname(key), output].map((path) => realpath(path).catch(() => path)));
  if (inside !== folder) return;
  const message = `Cannot sign ${quote(output)}: the private key ${quote(key)} is in it, move it out of the output`;
  throw new AmalgamError("output_refused", message);
}

async function readSigningKey(file: string, stderr: Terminal["stderr"]): Promise<KeyObject> {
  const key = await readPrivateKey(file, process.env[passphraseVariable]);
  if (await isOpenToAll(file)) {
    stderr.write(
      `warning: everybody on this machine can read the private key ${quote(file)}: chmod 600 keeps it yours\n`,
    );
  }
  return key;
}

/** What signs an output as it is made, for `--sign key.pem`. */
export async function signerFrom(file: string, { stderr }: Pick<Terminal, "stderr">): Promise<Sign> {
  return signWith(await readSigningKey(file, stderr));
}
