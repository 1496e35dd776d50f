import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const script = `
  const { OwnFolder } = await import(process.argv[1]);
  console.log(new OwnFolder(process.argv[2], process.argv[3]).path);
  setInterval(() => undefined, 1000);
`;

/** A process that has a folder of its own, until it is killed. */
export interface Owner extends AsyncDisposable {
  readonly folder: string;
  readonly process: ChildProcess;
}

/** `launcher`: a command that runs the command behind it, such as `unshare`. */
export async function startOwner(parent: string, prefix: string, launcher: readonly string[] = []): Promise<Owner> {
  const module = new URL("../../shared/child/own-folder.js", import.meta.url).href;
  const node = [process.execPath, "--input-type=module", "--eval", script, module, parent, prefix];
  const [command = "", ...words] = [...launcher, ...node];
  const child = spawn(command, words, { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const { value, done } = await lines.next();
  if (done === true) throw new Error("The owner of a folder has ended");
  return {
    folder: value,
    process: child,
    async [Symbol.asyncDispose]() {
      const over = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
      child.kill("SIGKILL");
      await over;
    },
  };
}

/** A folder whose process was killed. */
export async function killedIn(parent: string, prefix: string): Promise<string> {
  await using owner = await startOwner(parent, prefix);
  return owner.folder;
}
