// Finds an nginx for tests, or fetches Debian's, without root: `node deploy/nginx.mjs` prints its path. Ends with 1 and a
// reason where there is none.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cached, named, onPath, report, run, unpackDebianPackages } from "./debian-package.mjs";

/** `{ path }` or `{ reason }`. */
export function findNginx() {
  const given = named("NGINX");
  if (given) return given;
  const found = onPath("nginx");
  return found ? { path: found } : cached("nginx", "nginx", fetchDebian);
}

/** The program alone: a configuration of one's own needs none of the other files, its libraries are any Debian's. */
function fetchDebian(scratch) {
  const program = join(unpackDebianPackages(["nginx"], scratch, "nginx"), "usr", "sbin", "nginx");
  const { status, error } = run(program, ["-V"], scratch);
  if (status !== 0) throw new Error(`nginx is not installed, and Debian's does not run here${error}`);
  return program;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) report(findNginx());
