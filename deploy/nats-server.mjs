// Finds a nats-server for tests, or fetches one, without root: `node deploy/nats-server.mjs debian` prints the path of
// the one that Debian ships, `newest` of the newest that we know. Ends with 1 and a reason where there is none.
import { mkdirSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cached, named, onPath, report, run, unpackDebianPackages } from "./debian-package.mjs";

const newestVersion = "v2.15.2";

const kinds = {
  debian: { variable: "NATS_SERVER", usesPath: true, fetch: fetchDebian },
  newest: { variable: "NATS_SERVER_NEWEST", usesPath: false, fetch: fetchNewest },
};

/** `{ path }` or `{ reason }`. */
export function findNatsServer(kind) {
  const { variable, usesPath, fetch } = kinds[kind];
  const given = named(variable);
  if (given) return given;
  const found = usesPath ? onPath("nats-server") : undefined;
  if (found) return { path: found };
  const { path, reason } = cached("nats-server", kind, (scratch) => inFolder(fetch(scratch), scratch));
  return path === undefined ? { reason } : { path: join(path, "nats-server") };
}

/** The program in a folder of its own, which is what is kept. */
function inFolder(program, scratch) {
  const kept = join(scratch, "kept", "nats-server");
  mkdirSync(dirname(kept));
  renameSync(program, kept);
  return dirname(kept);
}

function fetchDebian(scratch) {
  return join(unpackDebianPackages(["nats-server"], scratch, "nats-server"), "usr", "sbin", "nats-server");
}

function fetchNewest(scratch) {
  if (!onPath("go")) throw new Error(`nats-server ${newestVersion} is built with Go, which is not installed`);
  const module = `github.com/nats-io/nats-server/v2@${newestVersion}`;
  const { status, error } = run("go", ["install", module], scratch, { GOBIN: scratch });
  if (status !== 0) throw new Error(`Cannot build nats-server ${newestVersion}${error}`);
  return join(scratch, "nats-server");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const kind = process.argv[2] ?? "debian";
  report(kind in kinds ? findNatsServer(kind) : { reason: `Give one of ${Object.keys(kinds).join(", ")}` });
}
