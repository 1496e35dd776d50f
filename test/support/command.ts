import { type ChildProcess, spawn } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../../coordinator/cli/run.js";
import type { Terminal } from "../../coordinator/cli/terminal.js";
import { withTempDir } from "./checkpoints.js";
import { agentEntry } from "./merges.js";

/** The `amalgam` binary. */
const binary = fileURLToPath(new URL("../../coordinator/main.js", import.meta.url));

/** What a command did. */
export interface Outcome {
  /** Null for a process that a signal ended. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A line of `--json` output. */
export interface JsonEvent {
  readonly event: string;
  readonly [field: string]: unknown;
}

/**
 * Runs a command line in this process, with streams that are no terminals: as fast as a function call, and all that a
 * user would see.
 */
export async function amalgam(...argv: readonly string[]): Promise<Outcome> {
  const written = { stdout: "", stderr: "" };
  const stream = (name: "stdout" | "stderr"): NodeJS.WriteStream => {
    const write = (text: string): boolean => {
      written[name] += text;
      return true;
    };
    return { isTTY: false, write, on: () => undefined } as unknown as NodeJS.WriteStream;
  };
  const terminal: Terminal = {
    stdout: stream("stdout"),
    stderr: stream("stderr"),
    agentEntry,
    runAgent: () => Promise.reject(new Error("An agent prints to its process: start it as one")),
  };
  const code = await run(argv, terminal);
  return { code, signal: null, ...written };
}

/** What a command says on stderr besides how far it has come, which it tells only where it takes long. */
export function withoutProgress(stderr: string): string {
  return stderr.replace(/^\w+ \d+ % .*\n/gm, "");
}

/** A folder to work in: commands run in it show its files by their names alone, as if it were the current one. */
export async function withWorkplace() {
  const folder = await withTempDir();
  const at = (...parts: readonly string[]): string => join(folder.path, ...parts);
  const shown = (text: string): string => text.replaceAll(`${folder.path}/`, "").replaceAll(folder.path, ".");
  return {
    path: folder.path,
    at,
    shown,
    run: async (...argv: readonly string[]): Promise<Outcome> => {
      const outcome = await amalgam(...argv);
      return { ...outcome, stdout: shown(outcome.stdout), stderr: shown(outcome.stderr) };
    },
    write: async (name: string, text: string): Promise<string> => {
      await writeFile(at(name), text);
      return at(name);
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

/** A command in a process of its own. It is killed when the scope ends before it does. */
export interface RunningCommand extends AsyncDisposable {
  readonly pid: number;
  readonly child: ChildProcess;
  readonly ended: Promise<Outcome>;
  /** The events of its `--json` output so far. */
  readonly events: readonly JsonEvent[];
  /** Resolves with the `count`-th line of stdout that matches, whenever it comes; fails if the process ends before. */
  line(matches: (line: string) => boolean, count?: number): Promise<string>;
  /** The same for events, by name. */
  event(name: string, count?: number): Promise<JsonEvent>;
  kill(signal?: NodeJS.Signals): Promise<Outcome>;
}

/**
 * Starts `amalgam …` as a user does. `leader`: as the head of a process group of its own, as a shell starts it. `prefix`:
 * words before the command, such as those that run it on another host of a test's network.
 */
export function startAmalgam(
  argv: readonly string[],
  options: { readonly leader?: boolean; readonly prefix?: readonly string[] } = {},
): RunningCommand {
  const [command = "", ...words] = [...(options.prefix ?? []), process.execPath, binary, ...argv];
  const child = spawn(command, words, {
    stdio: ["ignore", "pipe", "pipe"],
    detached: options.leader === true,
  });
  const { pid } = child;
  if (pid === undefined) throw new Error("The process did not start");
  running.add(child);
  const lines: string[] = [];
  const events: JsonEvent[] = [];
  const watchers = new Set<() => void>();
  const written = { stdout: "", stderr: "" };
  let rest = "";
  let hasEnded = false;
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    written.stderr += text;
  });
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    written.stdout += text;
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) {
      lines.push(line);
      if (line.startsWith("{")) events.push(JSON.parse(line) as JsonEvent);
    }
    for (const look of watchers) look();
  });
  const ended = new Promise<Outcome>((resolve) => {
    child.on("close", (code, signal) => {
      running.delete(child);
      hasEnded = true;
      resolve({ code, signal, ...written });
      for (const look of watchers) look();
    });
  });
  const nth = <T>(list: readonly T[], matches: (item: T) => boolean, count: number, what: string): Promise<T> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = list.filter(matches)[count - 1];
        if (found === undefined && !hasEnded) return;
        watchers.delete(look);
        if (found !== undefined) resolve(found);
        else reject(new Error(`The command ended before ${what}:\n${written.stdout.slice(-2_000)}${written.stderr}`));
      };
      watchers.add(look);
      look();
    });
  const kill = (signal: NodeJS.Signals = "SIGKILL"): Promise<Outcome> => {
    child.kill(signal);
    return ended;
  };
  return {
    pid,
    child,
    ended,
    events,
    line: (matches, count = 1) => nth(lines, matches, count, "the line that was waited for"),
    event: (name, count = 1) => nth(events, ({ event }) => event === name, count, `its event "${name}" no. ${count}`),
    kill,
    [Symbol.asyncDispose]: async () => {
      if (!hasEnded) await kill();
    },
  };
}

/** What would be left behind if the test's own process ended early, as after a test that ran out of time. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** An agent started by hand, and where it listens. */
export async function startAgentCommand(
  root: string,
  options: { readonly port?: number; readonly name?: string } = {},
): Promise<RunningCommand & { readonly address: string }> {
  const { port = 0, name = "by-hand" } = options;
  const agent = startAmalgam(["agent", "--root", root, "--slots", "1", "--port", String(port), "--name", name]);
  try {
    const line = await agent.line((text) => text.includes(" listens on "));
    return { ...agent, address: line.slice(line.lastIndexOf(" ") + 1) };
  } catch (error) {
    await agent[Symbol.asyncDispose]();
    throw error;
  }
}

/** The processes that a process has started and that still run. */
export async function childrenOf(pid: number): Promise<readonly number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map(async (child) => ((await parentOf(child)) === pid ? child : undefined)));
  return found.filter((child) => child !== undefined);
}

/** Undefined for a process that has ended. */
async function parentOf(pid: number): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // "pid (name) state parent …", and a name may hold anything.
  const [state, parent] = stat?.slice(stat.lastIndexOf(")") + 2).split(" ") ?? [];
  return stat === undefined || state === "Z" ? undefined : Number(parent);
}
