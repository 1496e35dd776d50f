import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

export interface Login {
  readonly login: string;
  readonly password: string;
}

/** Longer ones are not read: the file is a person's. */
const maxBytes = 1 << 20;

/**
 * Who we are on a host, from the file that `NETRC` names or `~/.netrc`: the first `machine` of that name, else what stands
 * under `default`. The grammar is curl's: words apart by white space, quoted ones with backslash escapes, comments in
 * lines that begin with `#`, macros to the next empty line.
 */
export function findLogin(text: string, host: string): Login | undefined {
  const words = [...wordsOf(text)];
  let current: { login?: string; password?: string } | undefined;
  for (let i = 0; i < words.length; i += 1) {
    const word = words[i];
    if (word === "machine" || word === "default") {
      // The first that fits is the one, whole or not.
      if (current !== undefined) break;
      if (word === "machine") i += 1;
      if (word === "default" || words[i]?.toLowerCase() === host.toLowerCase()) current = {};
    } else if (word === "login" || word === "password" || word === "account") {
      i += 1;
      const value = words[i];
      if (current !== undefined && word !== "account" && value !== undefined) current[word] = value;
    }
  }
  const { login, password } = current ?? {};
  return login === undefined && password === undefined ? undefined : { login: login ?? "", password: password ?? "" };
}

/** `Authorization` for a host, from the user's own file; undefined: no file, or it says nothing. */
export async function netrcAuthorization(
  host: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  const path = env["NETRC"] || join(env["HOME"] || homedir(), ".netrc");
  const text = await readFile(path, "utf8").catch(() => "");
  const found = text.length > maxBytes ? undefined : findLogin(text, host);
  return found && `Basic ${Buffer.from(`${found.login}:${found.password}`).toString("base64")}`;
}

function* wordsOf(text: string): Generator<string> {
  const withoutMacros = text.replace(/^[ \t]*macdef\b[\s\S]*?(?:\n[ \t]*\r?\n|$(?![\s\S]))/gm, "\n");
  for (const line of withoutMacros.split("\n")) {
    if (line.trimStart().startsWith("#")) continue;
    for (const [, quoted, bare] of line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)) {
      yield bare ?? (quoted ?? "").replace(/\\(.)/g, (_, escaped: string) => unescaped(escaped));
    }
  }
}

function unescaped(letter: string): string {
  const known: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };
  return known[letter] ?? letter;
}
