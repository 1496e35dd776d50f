// Fetches packages of Debian's and unpacks them into a folder, without root: for servers that tests run.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const caches = fileURLToPath(new URL("../node_modules/.cache/", import.meta.url));
const fetchTimeoutMs = 300_000;
/** After a failed fetch it is not tried again for so long: every test file would wait for it. */
const failureLastsMs = 10 * 60_000;

/**
 * Downloads packages and unpacks them over one another into `scratch/package`, whose path is returned; fails with a
 * reason that can be printed. `program` is what the reason says is missing.
 */
export function unpackDebianPackages(packages, scratch, program) {
  if (!onPath("apt-get") || !onPath("dpkg")) throw new Error(`${program} is not installed, and there is no apt-get`);
  if (run("apt-get", ["download", ...packages], scratch).status !== 0) {
    // Lists that are missing or old: our own, in a folder that needs no root.
    for (const folder of ["lists/partial", "archives/partial"]) mkdirSync(join(scratch, folder), { recursive: true });
    const own = [
      `Dir::State::lists=${join(scratch, "lists")}`,
      `Dir::Cache=${scratch}`,
      `Dir::Cache::archives=${join(scratch, "archives")}`,
    ].flatMap((option) => ["-o", option]);
    run("apt-get", [...own, "update"], scratch);
    const { status, error } = run("apt-get", [...own, "download", ...packages], scratch);
    if (status !== 0) throw new Error(`${program} is not installed, and apt-get cannot download it${error}`);
  }
  const archives = readdirSync(scratch).filter((name) => name.endsWith(".deb"));
  if (archives.length === 0) throw new Error(`${program} is not installed, and apt-get downloaded nothing`);
  for (const archive of archives) {
    const { status, error } = run("dpkg", ["-x", archive, "package"], scratch);
    if (status !== 0) throw new Error(`Cannot unpack ${archive}${error}`);
  }
  return join(scratch, "package");
}

/**
 * What `fetch(scratch)` made, a file or a folder, kept from then on as `name` in the cache of `program`; `{ path }`, or
 * `{ reason }` where it cannot be had.
 */
export function cached(program, name, fetch) {
  const cache = join(caches, program);
  const kept = join(cache, name);
  if (existsSync(kept)) return { path: kept };
  const failure = join(cache, `${name}.failed`);
  const past = readFailure(failure);
  if (past) return { reason: past };
  mkdirSync(cache, { recursive: true });
  const scratch = mkdtempSync(join(cache, "fetch-"));
  try {
    const fetched = fetch(scratch);
    try {
      // Another process may fetch the same: a rename puts a whole one in place.
      renameSync(fetched, kept);
    } catch (error) {
      if (!existsSync(kept)) throw error;
    }
    return { path: kept };
  } catch (error) {
    writeFileSync(failure, JSON.stringify({ at: Date.now(), reason: error.message }));
    return { reason: error.message };
  } finally {
    // Go's modules are read-only.
    run("chmod", ["-R", "u+w", scratch], scratch);
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Runs a command and says how it ended: `error` is empty, or the last line of what it complained of after a colon. */
export function run(command, args, cwd, environment = {}) {
  const { status, stderr, error } = spawnSync(command, args, {
    cwd,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
    timeout: fetchTimeoutMs,
  });
  // The last line alone, and no address in it: a reason is printed with every skipped test.
  const last = (error?.message ?? stderr ?? "")
    .trim()
    .split("\n")
    .at(-1)
    .replace(/\w+:\/\/\S+/g, "…");
  return { status, error: last === "" ? "" : `: ${last}` };
}

export function onPath(command) {
  const folders = (process.env.PATH ?? "").split(delimiter);
  // Debian puts servers where only root's path goes.
  return [...folders, "/usr/sbin"].map((folder) => join(folder, command)).find((path) => existsSync(path));
}

/** Where the program is that a variable names, if it names one: `{ path }` or `{ reason }`. */
export function named(variable) {
  const given = process.env[variable];
  if (!given) return undefined;
  return existsSync(given) ? { path: given } : { reason: `${variable} names a file that is not there` };
}

/** Prints the path of what was found, or ends with 1 and the reason. */
export function report({ path, reason }) {
  if (path === undefined) console.error(reason);
  else console.log(path);
  process.exitCode = path === undefined ? 1 : 0;
}

function readFailure(file) {
  try {
    const { at, reason } = JSON.parse(readFileSync(file, "utf8"));
    return Date.now() - at < failureLastsMs ? reason : undefined;
  } catch {
    return undefined;
  }
}
