import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FoundProgram, findProgram } from "../find-program.js";
import { freePort, listens } from "./ports.js";

export interface NginxOptions {
  /** What it serves. */
  readonly root: string;
  readonly login?: { readonly user: string; readonly password: string };
  /** Paths of PEM files. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** More lines for its `server` block. */
  readonly config?: string;
}

export interface Nginx extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** What it was asked for so far: `GET /config.json bytes=0-0 206`, a minus for no range. */
  readonly requests: () => Promise<readonly string[]>;
}

const find = (): FoundProgram => findProgram("nginx.mjs");

/** Why no nginx can be had here, which is why a test skips; undefined: it can. */
export function whyNoNginx(): string | undefined {
  return find().reason;
}

/** A real nginx over a folder, with ranges and ETags; it does not outlive the test process. */
export async function startNginx({ root, login, tls, config = "" }: NginxOptions): Promise<Nginx> {
  const { path, reason } = find();
  if (path === undefined) throw new Error(`No nginx: ${reason}`);
  const base = await mkdtemp(join(tmpdir(), "amalgam-nginx-"));
  const port = await freePort();
  await mkdir(join(base, "temp"));
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  if (login) await writeFile(join(base, "users"), `${login.user}:{PLAIN}${login.password}\n`);
  const server = [
    `listen 127.0.0.1:${port}${tls === undefined ? "" : " ssl"};`,
    ...(tls === undefined ? [] : [`ssl_certificate ${tls.certificate}; ssl_certificate_key ${tls.key};`]),
    ...(login === undefined ? [] : [`auth_basic models; auth_basic_user_file ${join(base, "users")};`]),
    `root ${JSON.stringify(root)};`,
    config,
  ];
  await writeFile(
    join(base, "nginx.conf"),
    [
      "daemon off; master_process off;",
      `pid ${join(base, "pid")}; error_log ${join(base, "error.log")} warn;`,
      "events { worker_connections 256; }",
      "http {",
      "default_type application/octet-stream; types { text/html html; application/json json; }",
      'log_format plain "$request_method $uri $http_range $status";',
      `access_log ${join(base, "access.log")} plain;`,
      ...temporary.map((name) => `${name}_temp_path ${join(base, "temp", name)};`),
      "server {",
      ...server,
      "} }",
    ].join("\n"),
  );
  // The kernel ends it with us even when we are killed.
  const dieWithParent = existsSync("/usr/bin/setpriv") ? ["/usr/bin/setpriv", "--pdeathsig", "KILL"] : [];
  const [command = path, ...words] = [...dieWithParent, path];
  const args = [...words, "-p", base, "-c", join(base, "nginx.conf"), "-e", join(base, "error.log")];
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  const endChild = (): void => void child.kill("SIGKILL");
  process.once("exit", endChild);
  const exited = once(child, "exit").finally(() => process.off("exit", endChild));
  let said = "";
  child.stderr.on("data", (chunk) => {
    said = `${said}${chunk}`.slice(-4_000);
  });
  await listens(port, () => (child.exitCode === null ? undefined : `nginx did not start:\n${said}`));
  return {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    port,
    requests: async () => (await readFile(join(base, "access.log"), "utf8")).trim().split("\n").filter(Boolean),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await exited;
      await rm(base, { recursive: true, force: true });
    },
  };
}
