// Finds a nats-server for tests, or fetches one, without root: `node deploy/nats-server.mjs debian` prints the path of
// the one that Debian ships, `newest` of the newest that we know. Ends with 1 and a reason where there is none.
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

const cache = fileURLToPath(new URL("../node_modules/.cache/nats-server/", import.meta.url));
const newestVersion = "v2.15.2";
const fetchTimeoutMs = 300_000;
/** After a failed fetch it is not tried again for so long: every test file would wait for it. */
const failureLastsMs = 10 * 60_000;

const kinds = {
  debian: { variable: "NATS_SERVER", usesPath: true, fetch: fetchDebian },
  newest: { variable: "NATS_SERVER_NEWEST", usesPath: false, fetch: fetchNewest },
};

/** `{ path }` or `{ reason }`. */
export function findNatsServer(kind) {
  const { variable, usesPath, fetch } = kinds[kind];
  const given = process.env[variable];
  if (given) return existsSync(given) ? { path: given } : { reason: `${variable} names a file that is not there` };
  if (usesPath) {
    const found = onPath("nats-server");
    if (found) return { path: found };
  }
  const cached = join(cache, kind, "nats-server");
  if (existsSync(cached)) return { path: cached };
  const failure = join(cache, `${kind}.failed`);
  const past = readFailure(failure);
  if (past) return { reason: past };
  mkdirSync(cache, { recursive: true });
  const scratch = mkdtempSync(join(cache, "fetch-"));
  try {
    const fetched = fetch(scratch);
    mkdirSync(join(cache, kind), { recursive: true });
    // Another process may fetch the same: a rename puts one whole file in place.
    renameSync(fetched, cached);
    return { path: cached };
  } catch (error) {
    writeFileSync(failure, JSON.stringify({ at: Date.now(), reason: error.message }));
    return { reason: error.message };
  } finally {
    // Go's modules are read-only.
    run("chmod", ["-R", "u+w", scratch], scratch);
    rmSync(scratch, { recursive: true, force: true });
  }
}

function fetchDebian(scratch) {
  if (!onPath("apt-get") || !onPath("dpkg")) throw new Error("nats-server is not installed, and there is no apt-get");
  if (run("apt-get", ["download", "nats-server"], scratch).status !== 0) {
    // Lists that are missing or old: our own, in a folder that needs no root.
    for (const folder of ["lists/partial", "archives/partial"]) mkdirSync(join(scratch, folder), { recursive: true });
    const own = [
      `Dir::State::lists=${join(scratch, "lists")}`,
      `Dir::Cache=${scratch}`,
      `Dir::Cache::archives=${join(scratch, "archives")}`,
    ].flatMap((option) => ["-o", option]);
    run("apt-get", [...own, "update"], scratch);
    const { status, error } = run("apt-get", [...own, "download", "nats-server"], scratch);
    if (status !== 0) throw new Error(`nats-server is not installed, and apt-get cannot download it${error}`);
  }
  const archive = readdirSync(scratch).find((name) => name.endsWith(".deb"));
  if (archive === undefined) throw new Error("nats-server is not installed, and apt-get downloaded nothing");
  const { status, error } = run("dpkg", ["-x", archive, "package"], scratch);
  if (status !== 0) throw new Error(`Cannot unpack ${archive}${error}`);
  return join(scratch, "package", "usr", "sbin", "nats-server");
}

function fetchNewest(scratch) {
  if (!onPath("go")) throw new Error(`nats-server ${newestVersion} is built with Go, which is not installed`);
  const module = `github.com/nats-io/nats-server/v2@${newestVersion}`;
  const { status, error } = run("go", ["install", module], scratch, { GOBIN: scratch });
  if (status !== 0) throw new Error(`Cannot build nats-server ${newestVersion}${error}`);
  return join(scratch, "nats-server");
}

function run(command, args, cwd, environment = {}) {
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

function onPath(command) {
  const folders = (process.env.PATH ?? "").split(delimiter);
  // Debian puts servers where only root's path goes.
  return [...folders, "/usr/sbin"].map((folder) => join(folder, command)).find((path) => existsSync(path));
}

function readFailure(file) {
  try {
    const { at, reason } = JSON.parse(readFileSync(file, "utf8"));
    return Date.now() - at < failureLastsMs ? reason : undefined;
  } catch {
    return undefined;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const kind = process.argv[2] ?? "debian";
  const { path, reason } =
    kind in kinds ? findNatsServer(kind) : { reason: `Give one of ${Object.keys(kinds).join(", ")}` };
  if (path === undefined) console.error(reason);
  else console.log(path);
  process.exitCode = path === undefined ? 1 : 0;
}
