import { spawnSync } from "node:child_process";
import { repositoryPath } from "../repository.js";

let found: { readonly path?: string; readonly reason?: string } | undefined;

/** The promtool that is installed or can be fetched; or why there is none. */
export function findPromtool(): { readonly path?: string; readonly reason?: string } {
  if (found === undefined) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [repositoryPath("deploy/promtool.mjs")], {
      encoding: "utf8",
    });
    found = status === 0 ? { path: stdout.trim() } : { reason: stderr.trim() };
  }
  return found;
}
