import { relative } from "node:path";
import { amalgam, type Command, runCommand } from "./command.js";

/** One run of `amalgam merge`. */
export interface MergeCommand {
  readonly name: string;
  readonly output: string;
  readonly words: Command;
}

/** The command for one recipe of this example. */
export function mergeCommand(
  name: string,
  folders: { readonly root: string; readonly recipes: string; readonly output: string },
  options: readonly string[] = [],
): MergeCommand {
  const recipe = relative(folders.root, `${folders.recipes}/${name}.yaml`);
  const output = relative(folders.root, `${folders.output}/${name}`);
  return { name, output, words: [amalgam, "merge", recipe, output, ...options] };
}

/** A recipe may have been edited since the last run, so what it made then may be replaced. */
const again = "--overwrite";

/** Runs the command with its progress on this terminal. */
export async function mergeShowing({ words }: MergeCommand, root: string): Promise<void> {
  await runCommand([...words, again], root, "inherit");
}

/** Runs the command without a word; returns what became of it in a few. */
export async function mergeQuietly({ words }: MergeCommand, root: string): Promise<string> {
  const events = await runCommand([...words, "--json", again], root, "pipe");
  const last: unknown = JSON.parse(events.trimEnd().split("\n").at(-1) ?? "");
  const { alreadyComplete, seconds } = last as { alreadyComplete: boolean; seconds: number };
  return alreadyComplete ? "merged before" : `merged in ${seconds.toFixed(1)} s`;
}
