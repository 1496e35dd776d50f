import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** What a whole process took, with all processes that it started. */
export interface ProcessRun {
  readonly seconds: number;
  /** User and system time. NaN where there is no /proc. */
  readonly cpuSeconds: number;
  /** Largest resident memory; 0 for one that was gone before it was looked at. */
  readonly peakBytes: number;
  readonly stdout: string;
}

const pollMs = 50;

export interface ProcessOptions {
  /** Variables on top of this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Its time ends with the first line on stdout that has this in it. @default with its end */
  readonly until?: string;
}

/** Runs a program to its end. A failure is an error with what it said last. */
export async function runProcess(
  command: string,
  argv: readonly string[],
  { env, until }: ProcessOptions = {},
): Promise<ProcessRun> {
  const cpuBefore = cpuSecondsOfChildren();
  const started = performance.now();
  const child = spawn(command, argv, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  const output = { stdout: "", stderr: "" };
  let seen: number | undefined;
  child.stdout.on("data", (data) => {
    output.stdout += data;
    if (until !== undefined && output.stdout.includes(until)) seen ??= performance.now();
  });
  child.stderr.on("data", (data) => {
    output.stderr = (output.stderr + data).slice(-4_000);
  });
  let peakBytes = 0;
  const look = (): void => {
    if (child.pid !== undefined) peakBytes = Math.max(peakBytes, treePeakBytes(child.pid));
  };
  const timer = setInterval(look, pollMs);
  try {
    const seconds = await new Promise<number>((resolve, reject) => {
      // The pipes may stay open a moment longer than the process.
      let ended = 0;
      child.on("exit", () => {
        ended = performance.now();
      });
      child.on("error", reject);
      child.on("close", (code, signal) => {
        if (code === 0 && until !== undefined && seen === undefined)
          reject(new Error(`${command} did not say ${until}`));
        else if (code === 0) resolve(((seen ?? ended) - started) / 1000);
        else reject(new Error(`${command} ended with ${signal ?? `code ${code}`}: ${output.stderr || output.stdout}`));
      });
    });
    return { seconds, cpuSeconds: cpuSecondsOfChildren() - cpuBefore, peakBytes, stdout: output.stdout };
  } finally {
    clearInterval(timer);
  }
}

const amalgamEntry = fileURLToPath(new URL("../coordinator/main.js", import.meta.url));

/** Runs the `amalgam` command. */
export function runAmalgam(argv: readonly string[], options?: ProcessOptions): Promise<ProcessRun> {
  return runProcess(process.execPath, [amalgamEntry, ...argv], options);
}

/** A running agent with two slots, as `amalgam agent` starts one. */
export async function startAgent(root: string): Promise<{ readonly address: string; stop(): void }> {
  const child = spawn(process.execPath, [amalgamEntry, "agent", "--root", root, "--slots", "2"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const stop = (): void => void child.kill();
  process.once("exit", stop);
  const [text] = (await once(child.stdout, "data")) as [Buffer];
  const address = /listens on (\S+)/.exec(text.toString())?.[1];
  if (address === undefined) throw new Error(`The agent said ${text}`);
  return { address, stop };
}

/** The kernel's high-water marks of a process and of its children, added up. */
function treePeakBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const own = 1024 * Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0);
    return own + childrenPeakBytes(pid);
  } catch {
    return 0;
  }
}

/** The same without the process itself, whichever of its threads started the others; 0 for one that has no children. */
export function childrenPeakBytes(pid: number): number {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const children = threads.flatMap((thread) => {
      return readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" ").filter(Boolean);
    });
    return children.reduce((total, child) => total + treePeakBytes(Number(child)), 0);
  } catch {
    return 0;
  }
}

/** What all children of this process that have ended took, and theirs, in ticks of a hundredth of a second. */
function cpuSecondsOfChildren(): number {
  try {
    const stat = readFileSync("/proc/self/stat", "utf8");
    // After the name, which may hold spaces: state is field 3, cutime and cstime are 16 and 17.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[13]) + Number(fields[14])) / 100;
  } catch {
    return Number.NaN;
  }
}
