import { spawn } from "node:child_process";
import { AmalgamError } from "../../shared/errors.js";

/** The words after `node` of one run of `amalgam`. Paths are relative to the repository, where it runs. */
export type Command = readonly string[];

/** `amalgam`, as this repository builds it. */
export const amalgam = "dist/coordinator/main.js";

/** As one would type it. */
export function formatCommand(words: Command): string {
  return ["node", ...words].join(" ");
}

/**
 * Runs the command; its progress goes to this terminal. Resolves with the standard output, if it is piped, once the
 * command has ended well.
 */
export function runCommand(words: Command, root: string, stdout: "inherit" | "pipe"): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...words], { cwd: root, stdio: ["ignore", stdout, "inherit"] });
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) return resolve(text);
      reject(new AmalgamError("internal", `"${formatCommand(words)}" ended with ${signal ?? code}`));
    });
  });
}
