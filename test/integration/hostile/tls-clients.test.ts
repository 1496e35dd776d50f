import { readFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runAgent } from "../../../node-agent/main.js";
import { AgentService } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { parseAddress } from "../../../shared/rpc/channel.js";
import { createClient } from "../../../shared/rpc/client.js";
import { readSecurity } from "../../../shared/rpc/security.js";
import type { Refusal } from "../../../shared/rpc/tls/server-credentials.js";
import { withTempDir } from "../../support/checkpoints.js";
import { type Certificates, TestAuthority } from "../../support/cluster/certificates.js";
import { fakeWorker } from "../../support/dispatch.js";
import {
  closed,
  emptySettings,
  flags,
  frame,
  frames,
  grpcMessage,
  openSocket,
  preface,
  rawCall,
} from "../../support/hostile-peers.js";

// The same limits hold over TLS, also for those who show a good certificate.

async function startWork() {
  const folder = await withTempDir();
  const authority = await TestAuthority.make(folder.path);
  const own = await authority.issue("agent", { roles: ["agent"] });
  const coordinator = await authority.issue("coordinator", { roles: ["coordinator"] });
  const refusals: Refusal[] = [];
  const agent = await runAgent({
    ...{ roots: [folder.path], worker: fakeWorker, slots: 1, name: "agent" },
    security: readSecurity(own),
    onRefused: (refusal) => void refusals.push(refusal),
  });
  return {
    agent,
    refusals,
    coordinator,
    async [Symbol.asyncDispose]() {
      await agent.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const work = startWork();
beforeAll(() => work);
afterAll(async () => (await work)[Symbol.asyncDispose]());

function pem({ ca, certificate, key }: Certificates) {
  return { ca: readFileSync(ca), cert: readFileSync(certificate), key: readFileSync(key) };
}

/** A connection of a coordinator's certificate, which has shaken hands. */
async function openTls(): Promise<TLSSocket> {
  const { agent, coordinator } = await work;
  const socket = connect({ ...parseAddress(agent.address), ...pem(coordinator), ALPNProtocols: ["h2"] });
  socket.on("error", () => undefined);
  await new Promise((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("close", reject);
  });
  socket.resume();
  return socket;
}

test.concurrent.each<[string, () => Promise<void>]>([
  ["does not begin the handshake", async () => closed(await openSocket((await work).agent.address))],
  ["says nothing after the handshake", async () => closed(await openTls())],
  [
    "does not acknowledge settings",
    async () => {
      const socket = await openTls();
      socket.write(Buffer.concat([preface, emptySettings]));
      await closed(socket);
    },
  ],
  [
    "pings without end",
    async () => {
      const socket = await openTls();
      socket.write(Buffer.concat([preface, emptySettings, frame(frames.settings, flags.ack, 0)]));
      const many = Buffer.concat(Array(100).fill(frame(frames.ping, 0, 0, Buffer.alloc(8))));
      while (!socket.destroyed) if (!socket.write(many)) await new Promise(setImmediate);
    },
  ],
])("a connection that %s is ended", async (_, attack) => {
  await attack();
});

test("a message of 4 GiB is refused, and a good one is answered", async () => {
  const { agent, coordinator } = await work;
  const session = connectHttp2(`https://${agent.address}`, { ...pem(coordinator), servername: "localhost" });
  try {
    const body = grpcMessage(new Uint8Array(10), 2 ** 32 - 1);
    expect(await rawCall(session, "/amalgam.v1.AgentService/Read", body)).toMatchObject({ http: 200, grpc: 8 });
  } finally {
    session.destroy();
  }
  const client = createClient(AgentService, agent.address, readSecurity(coordinator));
  expect((await client.describe({})).name).toBe("agent");
  client.close();
});

test("what was ended is told of", async () => {
  const { refusals } = await work;
  const reasons = refusals.map(({ reason }) => reason);
  expect(reasons).toContainEqual(expect.stringContaining("it has not shaken hands within 10 seconds"));
  expect(reasons).toContainEqual(expect.stringContaining("it pinged"));
});
