// Finds the nft program for tests that lose packets, or fetches Debian's with its libraries, without root: `node deploy/nft.mjs`
// prints its path. Ends with 1 and a reason where there is none.
import { chmodSync, cpSync, mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cached, named, onPath, report, run, unpackDebianPackages } from "./debian-package.mjs";

/** nft, and what a small installation lacks of its libraries. */
const packages = [
  ...["nftables", "libnftables1", "libnftnl11", "libmnl0", "libxtables12"],
  ...["libjansson4", "libedit2", "libbsd0", "libgmp10"],
];

/** A program in a folder with its libraries, wherever that is moved to. */
const wrapper = `#!/bin/sh
here=$(dirname "$0")
LD_LIBRARY_PATH="$here/lib" exec "$here/nft.program" "$@"
`;

/** `{ path }` or `{ reason }`. */
export function findNft() {
  const given = named("NFT");
  if (given) return given;
  const found = onPath("nft");
  if (found) return { path: found };
  const { path, reason } = cached("nftables", "nft", fetchDebian);
  return path === undefined ? { reason } : { path: join(path, "nft") };
}

function fetchDebian(scratch) {
  const unpacked = unpackDebianPackages(packages, scratch, "nft");
  const kept = join(scratch, "kept");
  mkdirSync(kept);
  // Its folder is named for the machine, such as x86_64-linux-gnu.
  const libraries = join(unpacked, "usr", "lib");
  const folder = readdirSync(libraries).find((name) => name.includes("-linux-gnu")) ?? ".";
  cpSync(join(libraries, folder), join(kept, "lib"), { recursive: true, verbatimSymlinks: true });
  renameSync(join(unpacked, "usr", "sbin", "nft"), join(kept, "nft.program"));
  writeFileSync(join(kept, "nft"), wrapper);
  chmodSync(join(kept, "nft"), 0o755);
  const { status, error } = run(join(kept, "nft"), ["--version"], kept);
  if (status !== 0) throw new Error(`nft is not installed, and Debian's does not run here${error}`);
  return kept;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) report(findNft());
