import { dirname, isAbsolute, join } from "node:path";

/** A path that `file` writes, from its folder; as the user named that, so that messages say it too. */
export function beside(file: string, path: string): string {
  return isAbsolute(path) ? path : join(dirname(file), path);
}
