#!/usr/bin/env node
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { run } from "./cli/run.js";

// The `amalgam` command, and the one place where coordinator and agent are put together: the coordinator starts agents
// by this module's address and speaks to them over gRPC only.

/** The agent's own entry: a program, a thread or a child process, whichever starts it. */
const agentEntry = new URL("../node-agent/main.js", import.meta.url);

function isEntry(): boolean {
  const [, entry] = process.argv;
  return entry !== undefined && realpathSync(entry) === fileURLToPath(import.meta.url);
}

/**
 * Whoever read our progress went away, as in `amalgam merge … | head`. That is no reason to end a merge of hours; a command
 * that only shows things ends itself, see `cli/unread.ts`.
 */
function goOnUnread(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
}

if (isEntry()) {
  // Servers are known by their addresses, of which Node warns once in every process that connects to one over TLS.
  Object.assign(process, { noDeprecation: true });
  process.stdout.on("error", goOnUnread);
  process.stderr.on("error", goOnUnread);
  process.exitCode = await run(process.argv.slice(2), {
    stdout: process.stdout,
    stderr: process.stderr,
    agentEntry,
    startsEarly: true,
    runAgent: async (argv) => (await import("../node-agent/main.js")).main(argv),
  });
}
