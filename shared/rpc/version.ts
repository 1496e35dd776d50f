import { readFileSync } from "node:fs";

/** The version in package.json, three folders above the compiled file. */
export function packageVersion(): string {
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** Of the contract in proto/. Grows when a message changes its meaning; new fields alone do not count. */
export const protocolVersion = 2;

/**
 * Names the arithmetic of methods, expressions and kernels. It changes whenever some recipe's bytes do, so that a
 * cluster in the middle of an upgrade never mixes two in one output.
 */
export const kernelsVersion = "1";
