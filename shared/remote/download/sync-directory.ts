import { constants } from "node:fs";
import { open } from "node:fs/promises";

/** Makes what was created or renamed in a directory survive a power cut, where the file system knows how. */
export async function syncDirectory(path: string): Promise<void> {
  await using handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (!["EINVAL", "ENOTSUP", "EOPNOTSUPP"].includes(code)) throw error;
  }
}
