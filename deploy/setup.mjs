// Makes a fresh clone ready: installs the locked dependencies and compiles, each only when something changed. Runs
// before `npm start`, `npm test` and `npm run bench`, and needs nothing but Node and npm.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const stamp = join(root, "node_modules", ".amalgam-installed");

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 18)) {
  console.error(`Amalgam needs Node 20.18 or newer, this is ${process.versions.node}`);
  process.exit(1);
}

const wanted = createHash("sha256")
  .update(readFileSync(join(root, "package-lock.json")))
  .update(`${process.platform} ${process.arch} ${major}`)
  .digest("hex");
if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
  console.error("Installing dependencies (once) ...");
  // The CPU build of ONNX Runtime ships inside its package; its install step would fetch GPU libraries from elsewhere.
  process.env.ONNXRUNTIME_NODE_INSTALL = "skip";
  run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
  writeFileSync(stamp, wanted);
}

removeStale(join(root, "dist"));
run(process.execPath, [join(root, "node_modules", "typescript", "bin", "tsc"), "-p", root]);

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  if (status === 0) return;
  console.error(`Cannot set up: "${command} ${args[0]}" ${error ? error.message : `ended with ${status}`}`);
  process.exit(1);
}

/** Compiled files whose source is gone would still be found by the test runner. */
function removeStale(folder) {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    const source = join(root, relative(folder, path).replace(/\.js(\.map)?$/, ".ts"));
    if (entry.isFile() && /\.js(\.map)?$/.test(entry.name) && !existsSync(source)) rmSync(path);
  }
}
