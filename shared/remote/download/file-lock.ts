import { spawn } from "node:child_process";
import { once } from "node:events";

/** A lock that this process holds until it is disposed, or dies. */
export interface FileLock extends AsyncDisposable {
  /** Others that lock the file are kept out. False where there is no `flock`, or the file system has no such locks. */
  readonly isHeld: boolean;
}

/**
 * Waits for the lock that the Hub's own tools take: `flock(2)` on a file. Node has no such call, so the program of that
 * name holds it, for as long as our end of a pipe is open.
 */
export async function lockFile(path: string, signal: AbortSignal | undefined): Promise<FileLock> {
  const child = spawn("flock", ["--exclusive", path, "sh", "-c", "echo; exec cat >/dev/null"], {
    stdio: ["pipe", "pipe", "ignore"],
    ...(signal && { signal }),
  });
  const ended = new Promise<void>((resolve) => {
    child.once("error", () => resolve());
    child.once("close", () => resolve());
  });
  child.stdin.on("error", () => undefined);
  const isHeld = await Promise.race([once(child.stdout, "data").then(() => true), ended.then(() => false)]);
  signal?.throwIfAborted();
  return {
    isHeld,
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await ended;
    },
  };
}
