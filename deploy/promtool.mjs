// Finds a promtool for tests, or fetches Debian's, without root: `node deploy/promtool.mjs` prints its path. Ends with 1
// and a reason where there is none.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cached, named, onPath, report, run, unpackDebianPackages } from "./debian-package.mjs";

/** `{ path }` or `{ reason }`. */
export function findPromtool() {
  const given = named("PROMTOOL");
  if (given) return given;
  const found = onPath("promtool");
  return found ? { path: found } : cached("promtool", "promtool", fetchDebian);
}

/** The program alone, which needs none of the package's other files. */
function fetchDebian(scratch) {
  const program = join(unpackDebianPackages(["prometheus"], scratch, "promtool"), "usr", "bin", "promtool");
  const { status, error } = run(program, ["--version"], scratch);
  if (status !== 0) throw new Error(`promtool is not installed, and Debian's does not run here${error}`);
  return program;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) report(findPromtool());
