import type { Terminal } from "./terminal.js";

/**
 * Ends the process with 0 once whoever read its output is gone, as in `amalgam logs --follow | head`: for commands that
 * only show what happens elsewhere. That nobody reads is found out with the next line.
 */
export function endUnread({ stdout, stderr }: Terminal): void {
  const end = (error: NodeJS.ErrnoException): void => {
    if (error.code === "EPIPE") process.exit(0);
  };
  stdout.on("error", end);
  stderr.on("error", end);
}
