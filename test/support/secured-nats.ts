import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type BusOptions, openBus } from "../../shared/bus/nats/open.js";
import { readSecurity } from "../../shared/rpc/security.js";
import type { Role } from "../../shared/rpc/tls/identity.js";
import { TestAuthority } from "./cluster/certificates.js";
import { configureNats } from "./nats-configuration.js";
import { freePort, type NatsBinary, natsPath } from "./nats-server.js";

/** A nats-server with the configuration that ships, and a certificate for each role. */
export async function startSecuredNats(folder: string, binary?: NatsBinary) {
  const authority = await TestAuthority.make(join(folder, "certificates"));
  const tls = await authority.issue("nats");
  const nats = natsPath(binary);
  const port = await freePort();
  const data = join(folder, "data");
  await mkdir(data, { recursive: true });
  const config = configureNats({ folder: join(folder, "nats"), nats, listen: `127.0.0.1:${port}`, tls, data });
  const child = spawn(nats, ["-c", config], { stdio: ["ignore", "ignore", "pipe"] });
  const log = { text: "" };
  await ready(child, log);
  const url = `tls://127.0.0.1:${port}`;
  /** Options of a connection as the role. */
  const as = async (role: Role, options: Partial<BusOptions> = {}): Promise<BusOptions> => {
    const files = await authority.issue(`a-${role}`, { roles: [role] });
    const busRole = role === "agent" || role === "coordinator" ? role : "client";
    return { url, security: readSecurity(files), name: role, role: busRole, ...options };
  };
  return {
    ...{ url, authority, as, log },
    open: async (role: Role, options?: Partial<BusOptions>) => await openBus(await as(role, options)),
    async [Symbol.asyncDispose]() {
      const exit = once(child, "exit");
      if (child.exitCode === null && child.kill("SIGKILL")) await exit;
    },
  };
}

function ready(child: ChildProcess, log: { text: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      log.text += text;
      if (log.text.includes("Server is ready")) resolve();
    });
    child.once("exit", () => reject(new Error(`nats-server did not start:\n${log.text}`)));
    process.once("exit", () => child.kill("SIGKILL"));
  });
}
