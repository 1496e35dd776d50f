import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Validity } from "../../../coordinator/certs/authority.js";
import { runAgent } from "../../../node-agent/agent.js";
import { AmalgamError } from "../../../shared/errors.js";
import { AgentService } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { createClient } from "../../../shared/rpc/client.js";
import { loopback, readSecurity, type Security } from "../../../shared/rpc/security.js";
import { withTempDir } from "../../support/checkpoints.js";
import {
  type CertificateOptions,
  type Certificates,
  TestAuthority,
  tlsWords,
} from "../../support/cluster/certificates.js";
import { NodeProcess } from "../../support/cluster/node-process.js";

// N13, N14: who is not let in by an agent, what both sides say, and that the others do not notice.

const binary = fileURLToPath(new URL("../../../coordinator/main.js", import.meta.url));
const parts: AsyncDisposable[] = [];
let folder: string;
let ours: TestAuthority;
let theirs: TestAuthority;
let agent: NodeProcess;
let address: string;
let friend: ReturnType<typeof client>;

const client = (security: Security, at = address, name?: string) => createClient(AgentService, at, security, { name });
let issued = 0;
/** A certificate of ours under a name of its own. */
const issue = (options: CertificateOptions, authority = ours): Promise<Certificates> => {
  issued += 1;
  return authority.issue(`p${issued}`, options);
};
const hourMs = 3_600_000;
const soonOver = (): Validity => ({
  from: new Date(Date.now() - hourMs),
  to: new Date(Date.now() + 2_000),
});

beforeAll(async () => {
  const scratch = await withTempDir();
  parts.unshift(scratch);
  folder = scratch.path;
  ours = await TestAuthority.make(join(folder, "ours"), "our authority");
  theirs = await TestAuthority.make(join(folder, "theirs"), "their authority");
  const files = await ours.issue("agent-1", { roles: ["agent"], cluster: "blue" });
  const words = ["agent", "--root", folder, "--slots", "1", "--no-eval", ...tlsWords(files)];
  const here = { name: "here", address: "127.0.0.1", prefix: [] };
  agent = new NodeProcess("agent-1", here, [process.execPath, binary, ...words], (line) => line.includes("listens on"));
  parts.unshift(agent);
  await agent.start();
  address = /listens on (\S+)/.exec(agent.output)?.[1] ?? "";
  friend = client(readSecurity(await issue({ roles: ["coordinator"], cluster: "blue" })), address, "agent-1");
});
afterAll(async () => {
  friend?.close();
  for (const part of parts) await part[Symbol.asyncDispose]();
});

/** What a call fails with. */
async function failure(security: Security, at?: string, name?: string): Promise<AmalgamError> {
  const connection = client(security, at, name);
  try {
    const { name: found } = await connection.describe({}, { timeoutMs: 10_000 });
    throw new Error(`"${found}" answers`);
  } catch (error) {
    return AmalgamError.from(error);
  } finally {
    connection.close();
  }
}

/** What a raw connection breaks with. */
function broken(socket: NodeJS.EventEmitter): Promise<AmalgamError> {
  return new Promise((resolve) => {
    socket.once("error", (error) => resolve(AmalgamError.from(error)));
    socket.once("close", () => resolve(new AmalgamError("agent_lost", "closed")));
  });
}

interface Stranger {
  readonly who: string;
  readonly comes: () => Promise<AmalgamError>;
  /** What the stranger is told. */
  readonly told: RegExp;
  /** What stands in the agent's log. */
  readonly logged: RegExp;
}

const withCertificate = (options: CertificateOptions) => async (): Promise<AmalgamError> =>
  failure(readSecurity(await issue({ cluster: "blue", ...options })));
const [host, port] = ["127.0.0.1", (): number => Number(address.split(":")[1])];

const strangers: readonly Stranger[] = [
  {
    who: "an operator's certificate",
    comes: withCertificate({ roles: ["operator"] }),
    told: /^"p\d+" \(operator of cluster "blue"\) may not call "\/amalgam.v1.AgentService\/Describe": it takes a certificate with the role of coordinator or agent$/,
    logged:
      /Refused a call of "\/amalgam.v1.AgentService\/Describe" by "p\d+" at 127\.0\.0\.1:\d+: it takes a certificate/,
  },
  {
    who: "a certificate without a role",
    comes: withCertificate({}),
    told: /^"p\d+" \(no role of cluster "blue"\) may not call/,
    logged: /Refused a call of .* by "p\d+" .*role of coordinator or agent/,
  },
  {
    who: "another cluster's certificate",
    comes: withCertificate({ roles: ["coordinator"], cluster: "red" }),
    told: /shows the certificate of "agent-1" \(agent of cluster "blue"\): it is not of cluster "red", as ours is$/,
    logged: /Refused a connection of 127\.0\.0\.1:\d+: it left in the middle of the TLS handshake/,
  },
  {
    who: "an agent's certificate, and an order",
    comes: async () => {
      const connection = client(readSecurity(await issue({ roles: ["agent"], cluster: "blue" })));
      const ask = async (): Promise<AmalgamError> => {
        for await (const _ of connection.merge({})) return new AmalgamError("internal", "It was obeyed");
        return new AmalgamError("internal", "It was obeyed");
      };
      await connection.describe({});
      return await ask()
        .catch(AmalgamError.from)
        .finally(() => connection.close());
    },
    told: /^"p\d+" \(agent of cluster "blue"\) may not call "\/amalgam.v1.AgentService\/Merge": it takes a certificate with the role of coordinator$/,
    logged: /Refused a call of "\/amalgam.v1.AgentService\/Merge" by "p\d+"/,
  },
  {
    who: "another authority's certificate",
    comes: async () =>
      failure(readSecurity({ ...(await issue({ roles: ["coordinator"], cluster: "blue" }, theirs)), ca: ours.ca })),
    told: /it refuses our certificate, of "p\d+": it was signed by "their authority", whom the other side may not trust/,
    logged: /Refused a connection of 127\.0\.0\.1:\d+: its certificate was signed by another authority/,
  },
  {
    who: "trust in another authority",
    comes: async () => failure(readSecurity({ ...(await issue({ roles: ["coordinator"] })), ca: theirs.ca })),
    told: /its certificate, of "agent-1" \(agent of cluster "blue"\), was signed by "our authority", which is not among the authorities that we trust, those in ".*theirs\/ca\.pem"$/,
    logged: /it left in the middle of the TLS handshake/,
  },
  {
    who: "a certificate that expired meanwhile",
    comes: async () => {
      const security = readSecurity(await issue({ roles: ["coordinator"], cluster: "blue", validity: soonOver() }));
      const connection = client(security);
      await sleep(2_500);
      const ask = connection.describe({}).then(() => new AmalgamError("internal", "It answers"), AmalgamError.from);
      return await ask.finally(() => connection.close());
    },
    told: /it refuses our certificate, of "p\d+": it expired on 20\d\d-\d\d-\d\dT/,
    logged: /Refused a connection of .*: its certificate has expired/,
  },
  {
    who: "a certificate that counts from tomorrow",
    comes: withCertificate({
      roles: ["coordinator"],
      validity: { from: new Date(Date.now() + 24 * hourMs), to: new Date(Date.now() + 48 * hourMs) },
    }),
    told: /it refuses our certificate, of "p\d+"/,
    logged: /Refused a connection of .*: its certificate does not count yet/,
  },
  {
    who: "no certificate",
    comes: async () =>
      broken(connectTls({ host, port: port(), ca: readFileSync(ours.ca), ALPNProtocols: ["h2"] }).resume()),
    told: /./,
    logged: /Refused a connection of .*: it shows no certificate/,
  },
  {
    who: "plain text",
    comes: () => failure(loopback),
    told: /if it takes TLS, give --tls-ca, --tls-cert and --tls-key$/,
    logged: /Refused a connection of .*: it does not speak TLS/,
  },
  {
    who: "TLS 1.1",
    comes: async () => {
      const { certificate, key } = await issue({ roles: ["coordinator"], cluster: "blue" });
      const [ca, cert, ownKey] = [ours.ca, certificate, key].map((file) => readFileSync(file));
      const old = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
      return broken(connectTls({ host, port: port(), ca, cert, key: ownKey, ...old }));
    },
    told: /protocol version/,
    logged: /Refused a connection of .*: it speaks an older TLS than 1\.2/,
  },
];

test.each(strangers)("an agent refuses $who, both sides say why, and others go on", async ({ comes, told, logged }) => {
  const error = await comes();
  expect(error.message).toMatch(told);
  const giveUpAt = Date.now() + 5_000;
  while (!logged.test(agent.output) && Date.now() < giveUpAt) await sleep(20);
  expect(agent.output).toMatch(logged);
  expect((await friend.describe({})).name).toBe("agent-1");
});

test.each(["TLSv1.2", "TLSv1.3"] as const)(
  "whoever comes back over %s shows a certificate again",
  async (maxVersion) => {
    const { certificate, key } = await issue({ roles: ["coordinator"], cluster: "blue" });
    const [ca, cert, ownKey] = [ours.ca, certificate, key].map((file) => readFileSync(file));
    let session: Buffer | undefined;
    const isResumed = (): Promise<boolean> =>
      new Promise((resolve, reject) => {
        const options = { host, port: port(), ca, cert, key: ownKey, maxVersion, session, ALPNProtocols: ["h2"] };
        const socket = connectTls(options)
          .on("session", (ticket) => {
            session = ticket;
          })
          .once("data", () => {
            resolve(socket.isSessionReused());
            socket.destroy();
          })
          .once("error", reject);
      });
    expect([await isResumed(), await isResumed()]).toEqual([false, false]);
  },
);

test("a certificate that has expired is named at the start", async () => {
  const files = await issue({ roles: ["agent"], validity: { from: new Date(0), to: new Date(hourMs) } });
  expect(() => client(readSecurity(files))).toThrow(
    /^Cannot use certificate ".*\.pem": it expired on 1970-01-01T01:00/,
  );
});

interface Impostor {
  readonly what: string;
  readonly certificate: CertificateOptions;
  readonly told: RegExp;
  readonly waitsMs?: number;
}

describe("a coordinator refuses a server", () => {
  test.each<Impostor>([
    {
      what: "for another host",
      certificate: { hosts: ["10.1.1.1"] },
      told: /for "IP Address:10\.1\.1\.1, .*", not for "127\.0\.0\.1"$/,
    },
    {
      what: "without the role",
      certificate: { roles: ["coordinator"] },
      told: /"p\d+" \(coordinator\): it has not the role of agent$/,
    },
    {
      what: "of another cluster",
      certificate: { cluster: "red" },
      told: /\(agent of cluster "red"\): it is of cluster "red", and ours has no name$/,
    },
    { what: "that is another node", certificate: {}, told: /the node that is said to be there is "agent-7"$/ },
    {
      what: "that has expired",
      certificate: { validity: soonOver() },
      told: /its certificate, of "p\d+" \(agent\), expired on 20/,
      waitsMs: 2_500,
    },
  ])("$what", async ({ certificate, told, waitsMs = 0 }) => {
    const validity = certificate.validity === undefined ? {} : { validity: soonOver() };
    const security = readSecurity(await issue({ roles: ["agent"], ...certificate, ...validity }));
    const ourselves = readSecurity(await issue({ roles: ["coordinator"] }));
    await using server = await runAgent({ roots: [folder], slots: 1, providers: [], security });
    await sleep(waitsMs);
    const error = await failure(ourselves, server.address, "agent-7");
    expect(error).toMatchObject({ code: "agent_lost", details: { tls: "refused" } });
    expect(error.message).toMatch(told);
  });

  test("that does not speak TLS", async () => {
    await using server = await runAgent({ roots: [folder], slots: 1, providers: [] });
    const { message } = await failure(readSecurity(await issue({ roles: ["coordinator"] })), server.address);
    expect(message).toBe(`Cannot connect to ${server.address}: it does not speak TLS`);
  });
});

test.each([
  [
    "an operator's certificate",
    { roles: ["operator"] },
    [],
    /Cannot be an agent with the certificate of "p\d+" \(operator\)/,
  ],
  [
    "another name",
    { roles: ["agent"] },
    ["--name", "x"],
    /Cannot be an agent named "x" with the certificate of "p\d+"/,
  ],
] as const)("an agent does not start with %s", async (_, options, words, told) => {
  const files = await issue(options as CertificateOptions);
  const argv = [process.execPath, binary, "agent", "--root", folder, ...tlsWords(files), ...words];
  const here = { name: "here", address: "127.0.0.1", prefix: [] };
  await using other = new NodeProcess("other", here, argv, (line) => line.includes("listens on"));
  await expect(other.start()).rejects.toThrow(told);
  expect(await other.ended).toBe(2);
});
