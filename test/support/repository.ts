import { fileURLToPath } from "node:url";

/** A path in the repository. Compiled tests run from dist/test/support, so the root is three folders up. */
export function repositoryPath(...parts: readonly string[]): string {
  return fileURLToPath(new URL(["../../..", ...parts].join("/"), import.meta.url));
}
