import { spawnSync } from "node:child_process";
import { repositoryPath } from "./repository.js";

/** Where a program is, or why none can be had here, which is why the tests that need it skip. */
export interface FoundProgram {
  readonly path?: string;
  readonly reason?: string;
}

const found = new Map<string, FoundProgram>();

/** What a script in deploy/ finds or fetches; asked once. */
export function findProgram(script: string, ...words: readonly string[]): FoundProgram {
  const key = [script, ...words].join(" ");
  const known = found.get(key);
  if (known !== undefined) return known;
  const argv = [repositoryPath("deploy", script), ...words];
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: "utf8" });
  const result = status === 0 ? { path: stdout.trim() } : { reason: stderr.trim() };
  found.set(key, result);
  return result;
}
