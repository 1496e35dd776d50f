import type { Command } from "commander";
import type { Terminal } from "../terminal.js";

/** What commands are registered with. Each loads what it needs when it runs, so that `amalgam --help` is instant. */
export interface Registration {
  readonly amalgam: Command;
  readonly terminal: Terminal;
  /** Runs a command and keeps its exit code. */
  readonly run: (command: () => Promise<number>) => Promise<void>;
  /** The same for one that only shows what happens elsewhere: it ends when nobody reads. */
  readonly show: (command: () => Promise<number>) => Promise<void>;
}
