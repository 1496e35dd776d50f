import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import { type Certificates, TestAuthority } from "../../support/cluster/certificates.js";
import { startAmalgam } from "../../support/command.js";
import { EndedTogether } from "../../support/remote/ended-together.js";
import { type Nginx, startNginx, whyNoNginx } from "../../support/remote/nginx.js";
import { portOf } from "../../support/remote/ports.js";

const reason = whyNoNginx();

describe.skipIf(reason !== undefined)(`over TLS${reason === undefined ? "" : `: skipped, ${reason}`}`, () => {
  const things = new EndedTogether();
  let server: Nginx;
  let certificates: Certificates;
  let folder: string;

  beforeAll(async () => {
    folder = things.use(await withTempDir()).path;
    const authority = await TestAuthority.make(join(folder, "certificates"));
    certificates = await authority.issue("server", { hosts: ["127.0.0.1", "models.test"] });
    const weights = { a: { dtype: "F32", shape: [4], values: [1, 2, 3, 4] } } as const;
    await writeCheckpoint(join(folder, "root", "m"), weights, { config: {} });
    server = things.use(await startNginx({ root: join(folder, "root"), tls: certificates }));
  });
  afterAll(() => things[Symbol.asyncDispose]());

  const download = (url: string, env: Readonly<Record<string, string>>) => {
    const words = Object.entries({ XDG_CACHE_HOME: join(folder, "cache"), ...env }).map(
      ([name, value]) => `${name}=${value}`,
    );
    return startAmalgam(["download", url], { prefix: ["env", ...words] });
  };

  test("a model is read from a server whose authority NODE_EXTRA_CA_CERTS names", async () => {
    await using command = download(`${server.url}/m`, { NODE_EXTRA_CA_CERTS: certificates.ca });
    expect(await command.ended).toMatchObject({ code: 0, stdout: expect.stringContaining(join("amalgam", "models")) });
  });

  test("a server whose authority nobody knows is refused", async () => {
    await using command = download(`${server.url}/m`, {});
    expect(await command.ended).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("its certificate is not trusted"),
    });
  });

  test("servers elsewhere are asked through the proxy that HTTPS_PROXY names", async () => {
    const asked: string[] = [];
    const proxy = createServer().on("connect", (request, socket) => {
      asked.push(request.url ?? "");
      const onward = connect(server.port, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        socket.pipe(onward).pipe(socket);
      });
      for (const end of [socket, onward]) end.on("error", () => onward.destroy());
    });
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
    try {
      await using command = download("https://models.test/m", {
        NODE_EXTRA_CA_CERTS: certificates.ca,
        HTTPS_PROXY: `http://127.0.0.1:${portOf(proxy)}`,
      });
      expect(await command.ended).toMatchObject({ code: 0, stdout: expect.stringContaining("models.test") });
      expect(new Set(asked)).toEqual(new Set(["models.test:443"]));
    } finally {
      proxy.closeAllConnections();
      proxy.close();
    }
  });
});
