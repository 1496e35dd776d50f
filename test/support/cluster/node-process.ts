import { type ChildProcess, spawn } from "node:child_process";
import type { Host } from "./network.js";

/** A program on a host of the test's: killed, frozen and started again at will, and always ended with the test. */
export class NodeProcess implements AsyncDisposable {
  readonly name: string;
  readonly host: Host;
  readonly #argv: readonly string[];
  readonly #isUp: (line: string) => boolean;
  #child: ChildProcess | undefined;
  #ended: Promise<number | NodeJS.Signals | null> = Promise.resolve(null);
  #output = "";
  #isFrozen = false;

  /** `isUp`: the line of output that says that it serves. */
  constructor(name: string, host: Host, argv: readonly string[], isUp: (line: string) => boolean) {
    this.name = name;
    this.host = host;
    this.#argv = argv;
    this.#isUp = isUp;
  }

  /** All that it has written, over all its lives. */
  get output(): string {
    return this.#output;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`"${this.name}" does not run`);
    return pid;
  }

  /** Resolves with its exit code or signal. */
  get ended(): Promise<number | NodeJS.Signals | null> {
    return this.#ended;
  }

  /** Starts it and waits until it serves. */
  start(): Promise<void> {
    if (this.#child !== undefined) return Promise.resolve();
    const [command = "", ...argv] = [...this.host.prefix, ...this.#argv];
    const child = spawn(command, argv, { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    running.add(child);
    const from = this.#output.length;
    return new Promise((resolve, reject) => {
      const read = (text: string): void => {
        this.#output += text;
        if (this.#output.slice(from).split("\n").some(this.#isUp)) resolve();
      };
      child.stdout.setEncoding("utf8").on("data", read);
      child.stderr.setEncoding("utf8").on("data", read);
      child.on("error", reject);
      this.#ended = new Promise((over) => {
        child.on("close", (code, signal) => {
          running.delete(child);
          this.#child = undefined;
          this.#isFrozen = false;
          over(signal ?? code);
          reject(
            new Error(`"${this.name}" ended with ${signal ?? code} before it was up:\n${this.#output.slice(from)}`),
          );
        });
      });
    });
  }

  freeze(): void {
    if (this.#child?.kill("SIGSTOP") === true) this.#isFrozen = true;
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
    this.#isFrozen = false;
  }

  /** Resolves when it has ended. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.#child === undefined) return;
    this.#child.kill(signal);
    if (signal !== "SIGKILL") this.thaw();
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** What would be left behind if the test's own process ended early. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
