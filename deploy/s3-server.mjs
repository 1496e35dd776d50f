// Finds an S3-compatible server for tests, or builds one with Go: `node deploy/s3-server.mjs` prints the path of a
// versitygw. Ends with 1 and a reason where there is none.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cached, named, onPath, report, run } from "./debian-package.mjs";

const version = "v1.8.0";

/** `{ path }` or `{ reason }`. */
export function findS3Server() {
  const found = named("S3_SERVER");
  if (found) return found;
  const installed = onPath("versitygw");
  return installed ? { path: installed } : cached("s3-server", `versitygw-${version}`, build);
}

function build(scratch) {
  if (!onPath("go")) throw new Error(`versitygw ${version} is built with Go, which is not installed`);
  // Compiling without optimizing takes a quarter less time, and tests send little.
  const quickly = ["-ldflags=-s -w", "-gcflags=all=-N -l"];
  const module = `github.com/versity/versitygw/cmd/versitygw@${version}`;
  const { status, error } = run("go", ["install", ...quickly, module], scratch, { GOBIN: scratch });
  if (status !== 0) throw new Error(`Cannot build versitygw ${version}${error}`);
  return join(scratch, "versitygw");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) report(findS3Server());
