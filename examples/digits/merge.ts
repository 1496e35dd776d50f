import { spawn } from "node:child_process";
import { relative } from "node:path";
import { AmalgamError } from "../../shared/errors.js";

/** One run of `amalgam merge`. Paths are relative to the repository, where it runs. */
export interface MergeCommand {
  readonly name: string;
  readonly output: string;
  readonly words: readonly string[];
}

/** The command for one recipe of this example. */
export function mergeCommand(
  name: string,
  folders: { readonly root: string; readonly recipes: string; readonly output: string },
  options: readonly string[] = [],
): MergeCommand {
  const recipe = relative(folders.root, `${folders.recipes}/${name}.yaml`);
  const output = relative(folders.root, `${folders.output}/${name}`);
  return { name, output, words: ["dist/coordinator/main.js", "merge", recipe, output, ...options] };
}

/** As one would type it. */
export function formatCommand({ words }: MergeCommand): string {
  return ["node", ...words].join(" ");
}

/** Runs the command with its progress on this terminal. */
export async function mergeShowing(command: MergeCommand, root: string): Promise<void> {
  await run(command, command.words, root, "inherit");
}

/** Runs the command without a word; returns what became of it in a few. */
export async function mergeQuietly(command: MergeCommand, root: string): Promise<string> {
  const events = await run(command, [...command.words, "--json"], root, "pipe");
  const last: unknown = JSON.parse(events.trimEnd().split("\n").at(-1) ?? "");
  const { alreadyComplete, seconds } = last as { alreadyComplete: boolean; seconds: number };
  return alreadyComplete ? "merged before" : `merged in ${seconds.toFixed(1)} s`;
}

/** Resolves with the standard output, if it is piped, once the command has ended well. */
function run(
  command: MergeCommand,
  words: readonly string[],
  root: string,
  stdout: "inherit" | "pipe",
): Promise<string> {
  return new Promise((resolve, reject) => {
    // A recipe may have been edited since the last run, so what it made then may be replaced.
    const child = spawn(process.execPath, [...words, "--overwrite"], {
      cwd: root,
      stdio: ["ignore", stdout, "inherit"],
    });
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) return resolve(text);
      const problem = `"${formatCommand(command)}" ended with ${signal ?? code}`;
      reject(new AmalgamError("internal", `Cannot merge "${command.name}": ${problem}`));
    });
  });
}
