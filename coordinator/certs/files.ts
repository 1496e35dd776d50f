import { chmod, readFile, rename, writeFile } from "node:fs/promises";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { type Authority, whyNotToSign } from "./authority.js";

/** The authority in two files. Fails with `usage` where it cannot sign. */
export async function openAuthority(certificate: string, key: string): Promise<Authority> {
  const read = async (file: string): Promise<string> => {
    try {
      return await readFile(file, "utf8");
    } catch (cause) {
      const { message } = AmalgamError.from(cause);
      throw new AmalgamError("usage", `Cannot use the authority in ${quote(file)}: ${message}`, { cause });
    }
  };
  const authority = { certificate: await read(certificate), key: await read(key) };
  const problem = whyNotToSign(authority);
  if (problem === undefined) return authority;
  const act = `Cannot issue certificates with ${quote(certificate)} and ${quote(key)}`;
  throw new AmalgamError("usage", `${act}: ${problem}`);
}

/** Whole or not at all, and never for a moment readable to others. */
export async function put(file: string, text: string, mode: number): Promise<void> {
  const draft = `${file}.${process.pid}.new`;
  await writeFile(draft, text, { mode });
  // The process's mask may take rights away.
  await chmod(draft, mode);
  await rename(draft, file);
}
