import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, connect as dial } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FoundProgram, findProgram } from "./find-program.js";

/** Debian's nats-server, the oldest that we promise to work with, and the newest that we know. */
export type NatsBinary = "debian" | "newest";

export interface NatsServerOptions {
  /** Default: `debian`, or `newest` where that is the only one. */
  readonly binary?: NatsBinary;
  /** Where streams are stored. Default: a new folder, removed at the end. */
  readonly directory?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** What it listens on. Default 127.0.0.1. */
  readonly host?: string;
  readonly user?: string;
  readonly password?: string;
  /** Paths of PEM files. Clients have to show a certificate of the same authority. */
  readonly tls?: { readonly ca: string; readonly certificate: string; readonly key: string };
  /** What stands in its configuration's `jetstream` block; false: no such block. Default: nothing. */
  readonly jetStream?: string | false;
  /** More lines for its configuration file. */
  readonly config?: string;
}

export interface NatsServer extends AsyncDisposable {
  /** With user and password, if it has them. */
  readonly url: string;
  readonly port: number;
  /** Of the process that runs now. */
  readonly pid: number;
  /** Where streams are stored: its own folder alone. */
  readonly directory: string;
  /** Ends it in peace. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Starts it on the same port and directory; kills it first if it runs. */
  restart(): Promise<void>;
  /** Takes away all that it stored. Only while it does not run. */
  wipe(): Promise<void>;
  freeze(): void;
  thaw(): void;
}

const find = (binary: NatsBinary): FoundProgram => findProgram("nats-server.mjs", binary);

/** Every binary that tests should run with; `reason` says why one cannot be had here, which is why its tests skip. */
export function natsBinaries(): readonly { readonly binary: NatsBinary; readonly reason: string | undefined }[] {
  return (["debian", "newest"] as const).map((binary) => ({ binary, reason: find(binary).reason }));
}

/** Why no nats-server can be had at all here. */
export function whyNoNats(): string | undefined {
  const reasons = natsBinaries().map(({ reason }) => reason);
  return reasons.every((reason) => reason !== undefined) ? reasons.join("; ") : undefined;
}

/** Where a binary is. Fails where it cannot be had, see {@link natsBinaries}. Default: as for {@link startNatsServer}. */
export function natsPath(binary?: NatsBinary): string {
  return binaryFor(binary);
}

/** A real nats-server, which answers when this resolves and which does not outlive the test process. */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const { host = "127.0.0.1", user, password = "", tls, jetStream = "", config = "" } = options;
  const path = binaryFor(options.binary);
  const base = await mkdtemp(join(tmpdir(), "amalgam-nats-"));
  const directory = options.directory ?? join(base, "data");
  const port = options.port ?? (await freePort());
  const file = join(base, "server.conf");
  await mkdir(directory, { recursive: true });
  await writeFile(
    file,
    [
      `listen: "${host}:${port}"`,
      ...(jetStream === false ? [] : [`jetstream { store_dir: ${JSON.stringify(directory)}, ${jetStream} }`]),
      ...(user === undefined ? [] : [`authorization { user: "${user}", password: "${password}" }`]),
      ...(tls === undefined
        ? []
        : [`tls { ca_file: "${tls.ca}", cert_file: "${tls.certificate}", key_file: "${tls.key}", verify: true }`]),
      config,
    ].join("\n"),
  );
  let process_ = await launch(path, file, host, port);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (process_.exitCode !== null || process_.signalCode !== null) return;
    const exit = once(process_, "exit");
    process_.kill(signal);
    await exit;
  };
  const login = user === undefined ? "" : `${user}:${password}@`;
  const shownHost = host === "0.0.0.0" ? "127.0.0.1" : host;
  return {
    url: `${tls === undefined ? "nats" : "tls"}://${login}${shownHost}:${port}`,
    port,
    directory,
    get pid() {
      return process_.pid ?? 0;
    },
    stop: () => {
      process_.kill("SIGCONT");
      return end("SIGTERM");
    },
    kill: () => end("SIGKILL"),
    restart: async () => {
      await end("SIGKILL");
      process_ = await launch(path, file, host, port);
    },
    wipe: async () => {
      await rm(directory, { recursive: true, force: true });
      await mkdir(directory, { recursive: true });
    },
    freeze: () => {
      process_.kill("SIGSTOP");
      // The signal is delivered a little later, and until then the server still answers.
      while (process_.pid !== undefined && !isStopped(process_.pid));
    },
    thaw: () => void process_.kill("SIGCONT"),
    [Symbol.asyncDispose]: async () => {
      await end("SIGKILL");
      await rm(base, { recursive: true, force: true });
    },
  };
}

/** Whether every thread stands still, or the process is gone. */
function isStopped(pid: number): boolean {
  const tasks = `/proc/${pid}/task`;
  try {
    return readdirSync(tasks).every((task) => {
      const stat = readFileSync(join(tasks, task, "stat"), "utf8");
      return /^[TtZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
    });
  } catch {
    return true;
  }
}

function binaryFor(wanted: NatsBinary | undefined): string {
  const candidates = wanted === undefined ? (["debian", "newest"] as const) : ([wanted] as const);
  for (const candidate of candidates) {
    const { path } = find(candidate);
    if (path !== undefined) return path;
  }
  throw new Error(`No nats-server: ${candidates.map((candidate) => find(candidate).reason).join("; ")}`);
}

async function launch(path: string, file: string, host: string, port: number): Promise<ChildProcess> {
  // The kernel ends it with us even when we are killed; where that tool is missing, the exit handler has to do.
  const dieWithParent = existsSync("/usr/bin/setpriv") ? ["/usr/bin/setpriv", "--pdeathsig", "KILL"] : [];
  const [command = path, ...args] = [...dieWithParent, path, "-c", file];
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  const endChild = (): void => void child.kill("SIGKILL");
  process.once("exit", endChild);
  child.once("exit", () => process.off("exit", endChild));
  let log = "";
  child.stderr.on("data", (chunk) => {
    log = `${log}${chunk}`.slice(-4_000);
  });
  while (!(await answers(host === "0.0.0.0" ? "127.0.0.1" : host, port))) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`nats-server did not start:\n${log}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return child;
}

/** Whether a server greets there. */
function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = dial({ host, port });
    const settle = (isThere: boolean): void => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once("data", () => settle(true));
    socket.once("error", () => settle(false));
    socket.once("end", () => settle(false));
  });
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("A TCP server has a port");
  return address.port;
}
