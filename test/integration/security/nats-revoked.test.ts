import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "nats";
import { describe, expect, test } from "vitest";
import { settle } from "../../../shared/bus/nats/options.js";
import { readSecurity } from "../../../shared/rpc/security.js";
import { withTempDir } from "../../support/checkpoints.js";
import { TestAuthority } from "../../support/cluster/certificates.js";
import { configureNats } from "../../support/nats-configuration.js";
import { freePort, natsBinaries, natsPath } from "../../support/nats-server.js";

// NATS reads no revocation lists. What keeps a stolen certificate out is a user of its host name, as docs/operations.md says.

/** NATS asks for users of a certificate's host names before those of its URIs, which are the roles. */
const keptOut = `KEPT_OUT {
    users: [{ user: "gpu-7.example.org", permissions: { publish: { deny: ">" }, subscribe: { deny: ">" } } }]
  }
`;

describe.each(natsBinaries())("on nats-server ($binary)", ({ binary, reason }) => {
  test.skipIf(reason !== undefined)(
    "a user of its own for a host name keeps that certificate out, and cuts off who is there",
    async () => {
      await using folder = await withTempDir();
      const authority = await TestAuthority.make(folder.path);
      const listen = `127.0.0.1:${await freePort()}`;
      const place = { folder: join(folder.path, "nats"), nats: natsPath(binary), listen, data: folder.path };
      const config = configureNats({ ...place, tls: await authority.issue("nats") });
      const server = spawn(natsPath(binary), ["-c", config], { stdio: ["ignore", "ignore", "pipe"] });
      const log = { text: "" };
      server.stderr.setEncoding("utf8").on("data", (text: string) => {
        log.text += text;
      });
      const says = (text: string) => expect.poll(() => log.text, { timeout: 10_000 }).toContain(text);
      try {
        await says("Server is ready");
        const open = async (host: string) => {
          const files = await authority.issue(host, { roles: ["agent"], hosts: ["127.0.0.1", host] });
          const options = { url: `tls://${listen}`, security: readSecurity(files), name: host, role: "agent" as const };
          return await connect({ ...settle(options).client, reconnect: false });
        };
        const [stolen, sound] = [await open("gpu-7.example.org"), await open("gpu-8.example.org")];
        const users = join(folder.path, "nats", "server.conf");
        writeFileSync(users, readFileSync(users, "utf8").replace("  SYS {", `  ${keptOut}  SYS {`));
        server.kill("SIGHUP");
        await says("Reloaded server configuration");
        const again = await open("gpu-7.example.org");
        for (const one of [stolen, again]) {
          const asked = one.request("$JS.API.INFO", "", { timeout: 5_000 });
          await expect(asked).rejects.toThrow(/permissions violation/i);
          await one.close();
        }
        expect((await sound.request("$JS.API.INFO")).json()).toMatchObject({
          type: expect.stringContaining("account_info"),
        });
        await sound.close();
      } finally {
        const exit = once(server, "exit");
        if (server.exitCode === null && server.kill("SIGKILL")) await exit;
      }
    },
  );
});
