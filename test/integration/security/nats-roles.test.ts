import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { connect, headers } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Bus } from "../../../shared/bus/bus.js";
import { examine } from "../../../shared/bus/nats/doctor.js";
import { settle } from "../../../shared/bus/nats/options.js";
import { AmalgamError } from "../../../shared/errors.js";
import { type Role, roles } from "../../../shared/rpc/tls/identity.js";
import { withTempDir } from "../../support/checkpoints.js";
import { TestAuthority } from "../../support/cluster/certificates.js";
import { configureNats } from "../../support/nats-configuration.js";
import { natsBinaries, natsPath } from "../../support/nats-server.js";
import { startSecuredNats } from "../../support/secured-nats.js";

// What each role may do on a server with the configuration in deploy/nats/, and what it may not.

/** Each fails where the server does not let it. */
const acts: Readonly<Record<string, (bus: Bus) => Promise<unknown>>> = {
  "hand in a job": async (bus) => {
    await bus.state.create("jobs.a", "{}");
    await bus.jobs.publish("a", "a");
  },
  "queue a job": (bus) => bus.jobs.publish("b", "b"),
  "cancel a job": (bus) => bus.state.put("jobs.a", '{"cancel":true}'),
  "order a node to drain": (bus) => bus.state.put("orders.n", "{}"),
  "follow jobs": (bus) => bus.state.entries("jobs."),
  "read one job": (bus) => bus.state.get("jobs.a"),
  "list nodes": (bus) => bus.nodes.entries("nodes."),
  "read events": async (bus) => {
    for await (const _ of bus.events.read({ topic: "n" }));
  },
  "hear orders": (bus) => bus.state.entries("orders."),
  "write a node's record": (bus) => bus.nodes.put("nodes.n", "{}"),
  "take a node's record away": (bus) => bus.nodes.delete("nodes.n"),
  "tell progress": (bus) => bus.nodes.put("progress.a", "{}"),
  "hold a lease": (bus) => bus.state.put("leases.a", "{}"),
};

const permitted: Readonly<Record<Role, readonly string[]>> = {
  agent: ["hear orders", "write a node's record", "take a node's record away"],
  coordinator: Object.keys(acts),
  operator: [
    "hand in a job",
    "queue a job",
    "cancel a job",
    "order a node to drain",
    "follow jobs",
    "read one job",
    "list nodes",
    "read events",
    "hear orders",
  ],
  viewer: ["follow jobs", "read one job", "list nodes", "read events", "hear orders"],
};

describe.each(natsBinaries())("on nats-server ($binary)", ({ binary, reason }) => {
  const skipped = test.skipIf(reason !== undefined);
  const parts: AsyncDisposable[] = [];
  const keep = <T extends AsyncDisposable>(part: T): T => {
    parts.unshift(part);
    return part;
  };
  const buses = new Map<Role, Bus>();
  let server: Awaited<ReturnType<typeof startSecuredNats>>;

  beforeAll(async () => {
    if (reason !== undefined) return;
    const folder = keep(await withTempDir());
    server = keep(await startSecuredNats(folder.path, binary));
    // Only a coordinator creates what the others find.
    for (const role of ["coordinator", "agent", "operator", "viewer"] as const) {
      buses.set(role, keep(await server.open(role)));
    }
  });
  afterAll(async () => {
    for (const part of parts) await part[Symbol.asyncDispose]();
  });

  skipped.each(roles.flatMap((role) => Object.keys(acts).map((act) => ({ role, act }))))(
    "$role: $act",
    async ({ role, act }) => {
      const bus = buses.get(role);
      if (bus === undefined) throw new Error("Every role has a connection");
      const failure = await acts[act]?.(bus).then(
        () => undefined,
        (error: unknown) => AmalgamError.from(error),
      );
      if (permitted[role].includes(act)) expect(failure).toBeUndefined();
      else {
        const as = role === "operator" || role === "viewer" ? "client" : role;
        expect(failure).toMatchObject({ code: "bus_failed", details: { nats: "PERMISSIONS_VIOLATION" } });
        expect(failure?.message).toMatch(new RegExp(`its permissions do not let ${as}s publish to "\\$?\\S+"$`));
      }
      expect(bus.isConnected).toBe(true);
    },
  );

  skipped.each(["amalgam.conf", "cluster.conf"])("the server takes %s as it ships", async (file) => {
    await using folder = await withTempDir();
    const tls = await (await TestAuthority.make(folder.path)).issue("nats", { hosts: ["nats-1", "nats-2", "nats-3"] });
    const nats = natsPath(binary);
    const place = { folder: join(folder.path, "nats"), nats, listen: "127.0.0.1:4222", data: folder.path };
    const config = configureNats({ ...place, tls, file });
    const { status, stderr } = spawnSync(nats, ["-t", "-c", config], {
      env: { NATS_NAME: "nats-1" },
      encoding: "utf8",
    });
    expect([status, stderr]).toEqual([0, expect.stringContaining("is valid")]);
  });

  skipped("a coordinator takes a job, and says that it is done", async () => {
    const bus = buses.get("coordinator");
    await buses.get("operator")?.jobs.publish("c", "c");
    const delivery = await bus?.jobs.take(AbortSignal.timeout(5_000));
    delivery?.working();
    expect(await delivery?.done()).toBe(true);
  });

  skipped("an agent's events arrive, and an operator's attempt to tell one ends nothing", async () => {
    buses.get("operator")?.events.append("n", "from nobody");
    buses.get("agent")?.events.append("n", "from an agent");
    const told: string[] = [];
    for await (const { body } of buses.get("viewer")?.events.read({ topic: "n", follow: true }) ?? []) {
      told.push(body);
      break;
    }
    expect(told).toEqual(["from an agent"]);
    expect(await buses.get("operator")?.state.get("jobs.a")).toBeDefined();
  });

  skipped.each([
    ["agent", "$KV.amalgam-nodes.nodes.x"],
    ["operator", "$KV.amalgam-state.jobs.x"],
  ] as const)("%s: one key that may be written takes no other away", async (role, subject) => {
    await buses.get("coordinator")?.state.put("leases.kept", "{}");
    await buses.get("coordinator")?.nodes.put("nodes.kept", "{}");
    const client = await connect(settle(await server.as(role)).client);
    const all = headers();
    all.set("Nats-Rollup", "all");
    const answer = await client.request(subject, "{}", { headers: all, timeout: 2_000 });
    expect(answer.json()).toMatchObject({ error: { err_code: 10111, description: "rollup not permitted" } });
    await client.close();
    expect(await buses.get("coordinator")?.state.get("leases.kept")).toBeDefined();
    expect(await buses.get("coordinator")?.nodes.get("nodes.kept")).toBeDefined();
  });

  skipped.each(["$KV.amalgam-state.>", "$KV.amalgam-state.jobs.>"])(
    "an agent reads no %s by another filter",
    async (filter) => {
      const client = await connect(settle(await server.as("agent")).client);
      const subject = "$JS.API.CONSUMER.CREATE.KV_amalgam-state.x.$KV.amalgam-state.orders.>";
      const config = { name: "x", deliver_subject: "_INBOX.agent.x", filter_subject: filter, ack_policy: "none" };
      const answer = await client.request(subject, JSON.stringify({ stream_name: "KV_amalgam-state", config }));
      expect(answer.json()).toMatchObject({ error: { err_code: 10131 } });
      await client.close();
    },
  );

  skipped("nobody listens to what others are answered", async () => {
    const spy = await connect(settle(await server.as("agent")).client);
    const refused = new Promise<string>((resolve) => {
      spy.subscribe("_INBOX.>", { callback: (error) => resolve(error?.code ?? "heard") });
    });
    expect(await refused).toBe("PERMISSIONS_VIOLATION");
    await spy.close();
  });

  skipped.each(roles)("doctor says that a certificate of role %s does for its part", async (role) => {
    const findings = await examine(await server.as(role), [role]);
    expect(findings.filter(({ level }) => level === "problem")).toEqual([]);
    const { why } = findings.find(({ what }) => what === "permissions") ?? {};
    expect(why).toContain(role === "coordinator" ? "all that a coordinator does" : `what a`);
    const other = role === "viewer" ? "agent" : "viewer";
    if (role === "agent") {
      expect((await examine(await server.as(role), [other])).at(-2)).toMatchObject({ level: "problem" });
    }
  });

  skipped("without a coordinator so far, an agent is told what it lacks", async () => {
    const options = await server.as("agent", { prefix: "elsewhere" });
    const failure = await server.open("agent", options).then(
      () => undefined,
      (error: unknown) => AmalgamError.from(error),
    );
    expect(failure).toMatchObject({ code: "bus_failed" });
    expect(failure?.message).toContain("its permissions do not let agents publish to");
  });

  skipped("on a new server an agent is told that it waits for a coordinator", async () => {
    await using folder = await withTempDir();
    await using fresh = await startSecuredNats(folder.path, binary);
    await expect(fresh.open("agent")).rejects.toThrow(
      /its permissions do not let agents publish to ".*"; coordinators create it, and none has been here yet: start one$/,
    );
  });
});
