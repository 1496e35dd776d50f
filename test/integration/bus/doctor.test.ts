import { describe, expect, test } from "vitest";
import { doctor } from "../../../coordinator/cli/doctor.js";
import type { Terminal } from "../../../coordinator/cli/terminal.js";
import { examine, type Finding } from "../../../shared/bus/nats/doctor.js";
import { natsBinaries, startNatsServer } from "../../support/nats-server.js";

const about = (findings: readonly Finding[], what: string): Finding | undefined =>
  findings.find((finding) => finding.what.startsWith(what));

const operations = [
  "create streams",
  "compare and set",
  "beat",
  "list and watch",
  "queue jobs",
  "take jobs",
  "tell events",
  "delete",
];

describe.each(natsBinaries())("on nats-server ($binary)", ({ binary, reason }) => {
  const skipped = test.skipIf(reason !== undefined);

  skipped("a server with defaults is fit, with warnings that say why, and nothing stays behind", async () => {
    await using server = await startNatsServer({ binary });
    const findings = await examine({ url: server.url, name: "test" });
    expect(findings.filter(({ level }) => level === "problem")).toEqual([]);
    expect(about(findings, "sync to disk")).toMatchObject({ level: "warning" });
    expect(about(findings, "connection")).toMatchObject({ level: "warning" });
    for (const operation of operations) expect(about(findings, operation)).toMatchObject({ level: "ok" });
    const { connect } = await import("nats");
    const admin = await connect({ servers: server.url });
    const manager = await admin.jetstreamManager();
    for (const stream of ["KV_amalgam-state", "KV_amalgam-nodes", "amalgam-jobs", "amalgam-events"]) {
      expect((await manager.streams.info(stream)).state.messages).toBe(0);
    }
    await admin.close();
  });

  skipped("a user who may not publish jobs is told what it may do, and what to be granted", async () => {
    await using server = await startNatsServer({
      binary,
      config: `authorization { users = [
        { user: u, password: p, permissions: { publish: { deny: ["amalgam.jobs", "$KV.amalgam-nodes.>"] } } }
      ] }`,
    });
    const options = { url: server.url.replace("//", "//u:p@"), name: "test" };
    const findings = await examine(options);
    for (const what of ["beat", "queue jobs"]) expect(about(findings, what)).toMatchObject({ level: "warning" });
    expect(about(findings, "queue jobs")?.why).toContain('user "u" (client) publish to "amalgam.jobs"');
    const why = 'this user may do what a viewer does, and may not "beat", "queue jobs"';
    expect(about(findings, "permissions")).toMatchObject({ level: "ok", why });
    expect(about(findings, "connection")).toMatchObject({ level: "ok" });
    const [problem, ...others] = (await examine(options, ["operator"])).filter(({ level }) => level === "problem");
    expect(others).toEqual([]);
    expect(problem).toMatchObject({ what: "permissions", remedy: expect.stringContaining('"$KV.amalgam-*.>"') });
  });

  skipped("limits that are too tight are named", async () => {
    await using server = await startNatsServer({
      binary,
      jetStream: "max_file_store: 300000000",
      config: `max_payload: 100000
        accounts { APP: { jetstream: { max_file: 300000000 }, users: [{ user: u, password: p }] } }`,
    });
    const findings = await examine({ url: server.url.replace("//", "//u:p@"), name: "test" });
    expect(about(findings, "largest message")).toMatchObject({ level: "problem" });
    expect(about(findings, "file storage")).toMatchObject({ level: "warning" });
  });

  test.skipIf(reason !== undefined).each(["2m", "always"])(
    "a sync interval of %s is seen where the account may look",
    async (interval) => {
      // 2.9 does not know the word, and then does not sync at every write.
      const isAlways = interval === "always";
      await using server = await startNatsServer({
        binary,
        jetStream: binary === "debian" ? "" : `sync_interval: "${interval}"`,
        config: `
          accounts {
            SYS: { users: [{ user: admin, password: p }], exports: [{ service: "$SYS.REQ.SERVER.PING.VARZ" }] }
            APP: {
              jetstream: enabled
              users: [{ user: u, password: p }]
              imports: [{ service: { account: SYS, subject: "$SYS.REQ.SERVER.PING.VARZ" } }]
            }
          }
          system_account: SYS`,
      });
      const findings = await examine({ url: server.url.replace("//", "//u:p@"), name: "test" });
      const finding = about(findings, "sync to disk");
      expect(finding?.why).not.toContain("cannot be seen");
      expect(finding?.level).toBe(isAlways && binary !== "debian" ? "ok" : "warning");
    },
  );
});

test("the command prints a line for each finding, and ends with 1 where there is a problem", async () => {
  let written = "";
  const stdout = { write: (text: string) => (written += text) } as unknown as NodeJS.WriteStream;
  const terminal = { stdout } as Terminal;
  expect(await doctor({ nats: "nats://u:s3cret@127.0.0.1:9", json: false }, terminal)).toBe(1);
  expect(written).toContain("problem  connection: Cannot connect to NATS");
  expect(written).toContain("not fit for a cluster: 1 problem");
  expect(written).not.toContain("s3cret");
  written = "";
  expect(await doctor({ nats: "nats://192.0.2.1:4222", json: true }, terminal)).toBe(1);
  expect(JSON.parse(written)).toMatchObject({ isFit: false, findings: [{ level: "problem", what: "connection" }] });
});
