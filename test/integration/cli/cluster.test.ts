import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Bus } from "../../../shared/bus/bus.js";
import { wordOf } from "../../../shared/bus/bus.js";
import { openBus } from "../../../shared/bus/nats/open.js";
import {
  type ClusterEvent,
  type JobRecord,
  jobRecord,
  keys,
  orderRecord,
  parseRecord,
} from "../../../shared/cluster/records.js";
import { makeCertificates, tlsWords } from "../../support/cluster/certificates.js";
import { beating, eventOf, jobOf, nodeOf } from "../../support/cluster-records.js";
import { startAmalgam, withWorkplace } from "../../support/command.js";
import { type NatsServer, startNatsServer, whyNoNats } from "../../support/nats-server.js";
import { recipeFor } from "../../support/planning.js";
import { smallRecipes, writeSmallModels } from "../../support/small-models.js";

// What is typed to a cluster. NATS is real; coordinators and agents are records that the test writes, except where it says so.

const why = whyNoNats();
const work = withWorkplace();
let server: NatsServer | undefined;
let bus: Bus;

beforeAll(async () => {
  const { path, write } = await work;
  await writeSmallModels(path);
  await write("linear.yaml", smallRecipes.linear);
  if (why !== undefined) return;
  server = await startNatsServer({ user: "ada", password: "open-sesame" });
  bus = await openBus({ url: server.url, name: "test" });
});
afterAll(async () => {
  if (server !== undefined) await bus[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  await (await work)[Symbol.asyncDispose]();
});

afterEach(async () => {
  vi.unstubAllEnvs();
  if (server === undefined) return;
  for (const { key } of await bus.nodes.entries("nodes.")) await bus.nodes.delete(key);
  for (const { key } of await bus.state.entries("jobs.")) await bus.state.delete(key);
});

const url = (): string => server?.url ?? "";
const run = async (...argv: readonly string[]) => (await work).run(...argv, "--nats", url());
const start = (...argv: readonly string[]) => startAmalgam([...argv, "--nats", url()]);

async function put(record: JobRecord): Promise<JobRecord> {
  await bus.state.put(keys.job(record.id), JSON.stringify(record));
  return record;
}

async function job(id: string): Promise<JobRecord | undefined> {
  return parseRecord(jobRecord, (await bus.state.get(keys.job(id)))?.value);
}

function tell(topic: string, fields: Partial<ClusterEvent>): void {
  bus.events.append(wordOf(topic), JSON.stringify(eventOf(fields)));
}

const coordinatorOf = (name: string) => nodeOf(name, { role: "coordinator", address: undefined, roots: [], slots: 2 });

test("without --nats and AMALGAM_NATS, a command says that it wants one of them", async () => {
  vi.stubEnv("AMALGAM_NATS", "");
  const outcome = await (await work).run("nodes");
  const stderr = 'Cannot find the cluster: give "--nats URL" or set AMALGAM_NATS, as in nats://127.0.0.1:4222\n';
  expect(outcome).toMatchObject({ code: 2, stdout: "", stderr });
});

test("a server that is not there is named without the password", async () => {
  const { code, stdout, stderr } = await (await work).run("status", "--nats", "nats://ada:open-sesame@127.0.0.1:1");
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toContain('"nats://127.0.0.1:1"');
  expect(stderr).not.toContain("open-sesame");
});

test("TLS wants all three files", async () => {
  const { code, stderr } = await (await work).run("status", "--nats", "nats://127.0.0.1:1", "--tls-ca", "ca.pem");
  expect(code).toBe(2);
  expect(stderr).toContain('"--tls-ca", "--tls-cert" and "--tls-key"');
});

test("amalgam merge reaches agents over TLS", async () => {
  const { at, path } = await work;
  const files = await makeCertificates(at("certificates"), []);
  const tls = tlsWords(files);
  await using agent = startAmalgam(["agent", "--root", path, "--slots", "1", ...tls]);
  const line = await agent.line((text) => text.includes(" listens on "));
  const merge = ["merge", at("linear.yaml"), at("over-tls"), "--agent", line.slice(line.lastIndexOf(" ") + 1)];
  expect(await (await work).run(...merge, ...tls)).toMatchObject({ code: 0 });
  expect(await (await work).run(...merge, "--tls-ca", files.ca)).toMatchObject({ code: 2 });
});

describe.skipIf(why !== undefined)(`with a NATS server${why === undefined ? "" : ` (${why})`}`, () => {
  test("AMALGAM_NATS stands for --nats", async () => {
    vi.stubEnv("AMALGAM_NATS", url());
    expect(await (await work).run("nodes")).toMatchObject({ code: 0, stdout: "No node has joined the cluster\n" });
  });

  describe("submit", () => {
    test("a recipe with a mistake is refused with its place, and nothing is sent", async () => {
      const { write } = await work;
      const recipe = await write("bad.yaml", recipeFor("tise", ["math"]));
      const before = (await bus.state.entries("jobs.")).length;
      expect(await run("submit", recipe, "out")).toMatchObject({
        code: 2,
        stdout: "",
        stderr: 'bad.yaml:1:15  Unknown merge method "tise", did you mean "ties"?\n',
      });
      const parameter = await write("parameter.yaml", recipeFor("linear", ["math"], { each: "wieght: 1" }));
      const { code, stderr } = await run("submit", parameter, "out");
      expect(code).toBe(2);
      expect(stderr).toMatch(/^parameter\.yaml:\d+:\d+ {2}Unknown parameter "wieght"/m);
      expect(await bus.state.entries("jobs.")).toHaveLength(before);
    });

    test("--detach leaves a job behind that has all that was asked for", async () => {
      const { at } = await work;
      const options = ["--assembly", "stream", "--unit-size", "1MB", "--shard-size", "2GB", "--max-wait", "90s"];
      const { code, stdout } = await run(
        ...["submit", at("linear.yaml"), at("merged"), ...options, "--overwrite", "--detach", "--json"],
      );
      const submitted = JSON.parse(stdout) as { readonly job: string };
      expect(code).toBe(0);
      expect(submitted).toEqual({
        event: "submitted",
        job: expect.stringMatching(/^merged-[0-9a-f]{6}$/),
        output: "merged",
      });
      expect(await job(submitted.job)).toMatchObject({
        state: "queued",
        cancel: false,
        request: {
          recipe: { text: smallRecipes.linear, file: at("linear.yaml") },
          output: at("merged"),
          assembly: "stream",
          unitBytes: 1e6,
          shardBytes: 2e9,
          maxWaitMs: 90_000,
          overwrite: true,
        },
      });
      const delivery = await bus.jobs.take(AbortSignal.timeout(10_000));
      expect(delivery?.body).toBe(submitted.job);
      await delivery?.done();
    });

    test.each([
      ["366d", 'It is longer than "365d".'],
      ["soon", 'It is not a time such as "30s", "10m" or "2h".'],
    ])("--max-wait %s is refused", async (time, complaint) => {
      const { at } = await work;
      const outcome = await run("submit", at("linear.yaml"), at("merged"), "--max-wait", time);
      const stderr = `error: option '--max-wait <time>' argument '${time}' is invalid. ${complaint}\n`;
      expect(outcome).toMatchObject({ code: 2, stdout: "", stderr });
    });

    test("without a coordinator the job waits for one, and the command does not", async () => {
      const { at } = await work;
      const { code, stdout, stderr } = await run("submit", at("linear.yaml"), at("lonely"));
      expect(code).toBe(0);
      const id = /^(lonely-[0-9a-f]{6}) submitted/.exec(stdout)?.[1] ?? "";
      expect(stdout).toBe(`${id} submitted, to become lonely; follow it with: amalgam watch ${id}\n`);
      expect(stderr).toBe(`${id}: queued\nNo coordinator is alive: the job waits for one\n`);
      expect(await job(id)).toMatchObject({ state: "queued" });
    });

    test("a real coordinator's complaints are the author's to read, and name the file as the author did", async () => {
      const { at, write } = await work;
      const recipe = await write("moth.yaml", recipeFor("linear", ["math", "moth"], { each: "weight: 1" }));
      await using coordinator = start("coordinator", "--name", "c9");
      const greeting = await coordinator.line((line) => line.includes("joined"));
      expect(greeting).toBe(`Coordinator c9 joined the cluster at nats://127.0.0.1:${server?.port}`);
      const { code, stdout, stderr } = await run("submit", recipe, at("moth"), "--watch", "--json");
      const complaint = 'moth.yaml:4:14  Cannot find model "moth": there is no "moth"';
      expect(code).toBe(2);
      expect(stderr).toContain(complaint);
      const events = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(events.at(0)).toMatchObject({ event: "submitted" });
      expect(events.at(-1)).toMatchObject({ event: "failed", code: "recipe_invalid", message: stderr.trimEnd() });
      expect(await coordinator.kill("SIGTERM")).toMatchObject({ code: 0 });
      const { stdout: nodes } = await run("nodes");
      expect(nodes).not.toContain("c9");
    });

    test("a real coordinator and a real agent make what amalgam merge makes, and drain lets the agent go", async () => {
      const { at, path } = await work;
      await using _coordinator = start("coordinator", "--name", "c10");
      await using agent = start("agent", "--name", "a10", "--slots", "1", "--root", path);
      await agent.line((line) => line.includes("joined"));
      const { code, stdout } = await run("submit", at("linear.yaml"), at("by-cluster"), "--watch");
      expect(code).toBe(0);
      expect(stdout).toMatch(
        /^by-cluster-[0-9a-f]{6} submitted.*\nby-cluster: complete, \d+s after it was submitted\n$/,
      );
      expect(await (await work).run("merge", at("linear.yaml"), at("alone"))).toMatchObject({ code: 0 });
      expect(await (await work).run("diff", at("by-cluster"), at("alone"))).toMatchObject({ code: 0 });
      expect(await run("drain", "a10")).toMatchObject({ code: 0, stdout: "a10 has left\n" });
      expect(await agent.ended).toMatchObject({ code: 0 });
    });
  });

  describe("coordinator", () => {
    test("a second signal ends it at once, though it could not leave in order yet", async () => {
      await using coordinator = start("coordinator", "--name", "c11");
      await coordinator.line((line) => line.includes("joined"));
      // It cannot sign off as long as nobody answers.
      server?.freeze();
      try {
        coordinator.child.kill("SIGTERM");
        coordinator.child.kill("SIGINT");
        expect(await coordinator.ended).toMatchObject({
          ...{ code: 130, signal: null },
          stderr: "Coordinator c11 hands its jobs over and leaves\n",
        });
      } finally {
        server?.thaw();
      }
    });
  });

  describe("status", () => {
    test("a table of jobs, oldest first, that says whose leader is silent", async () => {
      await using _ = await beating(bus, coordinatorOf("c1"));
      const ids = ["status-a", "status-b", "status-c"] as const;
      await put(jobOf(ids[0], { submittedAt: "2026-01-01T00:00:00Z", state: "running", leader: "c1", starts: 1 }));
      await put(jobOf(ids[1], { submittedAt: "2026-01-01T00:00:01Z", state: "waiting", leader: "c0", cancel: true }));
      await put(jobOf(ids[2], { submittedAt: "2026-01-01T00:00:02Z", state: "done", leader: "c1" }));
      const progress = { units: 8, unitsDone: 2, work: 1000, workDone: 259, agents: 2, slots: 8, retries: 1 };
      const speed = { bytesPerSecond: 10, etaSeconds: 75 };
      for (const id of ids) await bus.nodes.put(keys.progress(id), JSON.stringify({ ...progress, ...speed }));

      const { code, stdout } = await run("status");
      expect(code).toBe(0);
      const [heading = "", ...lines] = stdout.trimEnd().split("\n");
      expect(heading).toMatch(/^JOB +STATE +DONE +ETA +LEADER +AGE +OUTPUT$/);
      const rows = lines.filter((line) => line.startsWith("status-")).map((line) => line.split(/ {2,}/));
      const age = expect.stringMatching(/^\d+d\d\dh$/);
      expect(rows).toEqual([
        [ids[0], "running", "25 %", "1m15s", "c1", age, `/outputs/${ids[0]}`],
        [ids[1], "waiting (leader silent, to be canceled)", "25 %", "-", "c0", age, `/outputs/${ids[1]}`],
        [ids[2], "done", "100 %", "-", "c1", age, `/outputs/${ids[2]}`],
      ]);
      const all = JSON.parse((await run("status", "--json")).stdout) as readonly Record<string, unknown>[];
      expect(all.find(({ id }) => id === ids[0])).toMatchObject({ leaderIs: "live", progress: { workDone: 259 } });
      expect(all.find(({ id }) => id === ids[1])).toMatchObject({ leaderIs: "gone", cancel: true });
    });

    test("one job with its reason, line by line", async () => {
      const reason = "a.yaml:1:1  one\na.yaml:2:2  two\u001b[2J";
      await put(jobOf("explained", { state: "failed", code: "recipe_invalid", reason, starts: 3, leader: "c1" }));
      const { code, stdout } = await run("status", "explained");
      expect(code).toBe(0);
      expect(stdout).toContain("  reason      a.yaml:1:1  one\n              a.yaml:2:2  two\\u001b[2J\n");
      expect(stdout).toContain("  led         3 times\n");
      expect(stdout).toMatch(/ {2}submitted {3}(\d+m)?\d+s ago by ada@workstation\n/);
    });

    test.each(["status", "watch", "cancel", "logs"])(
      "%s of a job that is not there names the one that may be meant",
      async (command) => {
        await put(jobOf("explained", { state: "failed" }));
        const stderr = 'Unknown job "explaned", did you mean "explained"?\n';
        expect(await run(command, "explaned")).toMatchObject({ code: 2, stdout: "", stderr });
      },
    );

    test("a job's name may be begun as its output's, and the latest one is meant", async () => {
      await put(jobOf("outcome-111111", { state: "done", submittedAt: "2026-01-01T00:00:00.000Z" }));
      await put(jobOf("outcome-222222", { state: "done", submittedAt: "2026-01-02T00:00:00.000Z" }));
      const { code, stderr } = await run("status", "outcome");
      expect([code, stderr]).toEqual([2, 'Unknown job "outcome", did you mean "outcome-222222"?\n']);
    });
  });

  describe("nodes and drain", () => {
    test("who is alive, and who only was", async () => {
      await bus.nodes.put(keys.node("ghost"), JSON.stringify(nodeOf("ghost")));
      await using _a = await beating(bus, nodeOf("a1", { state: "draining", running: 3, roots: ["/models", "/out"] }));
      await using _c = await beating(bus, coordinatorOf("c1"));
      const { code, stdout } = await run("nodes");
      expect(code).toBe(0);
      const rows = stdout
        .trimEnd()
        .split("\n")
        .map((line) => line.split(/ {2,}/));
      const age = expect.stringMatching(/^(\d+m)?\d+s$/);
      expect(rows).toEqual([
        ["NODE", "ROLE", "STATE", "RUNS", "MEMORY", "VERSION", "AGE", "ADDRESS", "ROOTS"],
        ["a1", "agent", "draining", "3/4 units", "2.00 GB", "0.1.0", age, "127.0.0.1:4000", "/models, /out"],
        ["c1", "coordinator", "ready", "1/2 jobs", "-", "0.1.0", age, "workstation", "-"],
        ["ghost", "agent", "silent for 1s or more", "1/4 units", "2.00 GB", "0.1.0", age, "127.0.0.1:4000", "/models"],
      ]);
      const nodes = JSON.parse((await run("nodes", "--json")).stdout) as readonly Record<string, unknown>[];
      expect(nodes.map(({ name, life }) => [name, life])).toEqual([
        ["a1", "live"],
        ["c1", "live"],
        ["ghost", "stale"],
      ]);
    });

    test("an agent of another version is shown as not used, with the reason", async () => {
      await using _odd = await beating(bus, nodeOf("odd", { version: "0.9.0", kernels: "other" }));
      const { stdout } = await run("nodes");
      expect(stdout).toMatch(/^odd +agent +not used /m);
      expect(stdout).toContain('\nodd is not used: its version "0.9.0" has protocol ');
      const [node] = JSON.parse((await run("nodes", "--json")).stdout) as readonly Record<string, unknown>[];
      expect(node).toMatchObject({ name: "odd", unfit: expect.stringContaining('kernels "other"') });
    });

    test("drain orders the instance that is alive, and returns when it has left", async () => {
      const agent = await beating(bus, nodeOf("a2", { state: "draining", running: 2 }));
      await using command = start("drain", "a2", "--json");
      const told = new Promise<string | undefined>((resolve) => {
        void bus.state.watch("orders.", ({ key, value }) => key === keys.order("a2") && resolve(value));
      });
      expect(parseRecord(orderRecord, await told)).toMatchObject({ instance: "a2-1", order: "drain" });
      await agent[Symbol.asyncDispose]();
      const { code, stdout } = await command.ended;
      expect([code, JSON.parse(stdout)]).toEqual([0, { node: "a2", state: "gone" }]);
    });

    test("drain takes its order back when the agent died before it could", async () => {
      const agent = await beating(bus, nodeOf("a5", { state: "draining" }));
      await using command = start("drain", "a5");
      await new Promise<void>((resolve) => {
        void bus.state.watch("orders.", ({ key }) => key === keys.order("a5") && resolve());
      });
      await agent[Symbol.asyncDispose]();
      expect(await command.ended).toMatchObject({ code: 0, stdout: "a5 has left\n" });
      expect(await bus.state.get(keys.order("a5"))).toBeUndefined();
    });

    test("Ctrl-C ends the wait for a drain, and the order stands", async () => {
      await using _agent = await beating(bus, nodeOf("a6", { state: "draining", running: 2 }));
      await using command = start("drain", "a6");
      await new Promise<void>((resolve) => command.child.stderr?.once("data", () => resolve()));
      const { code, stderr } = await command.kill("SIGINT");
      const told = ["a6 is draining, with 2 units to go", "Waiting ended, and a6 goes on draining"];
      expect([code, stderr]).toEqual([130, `${told.join("\n")}\n`]);
      expect(parseRecord(orderRecord, (await bus.state.get(keys.order("a6")))?.value)).toMatchObject({
        order: "drain",
      });
    });

    test("drain takes an agent for gone that another one replaced", async () => {
      const before = await beating(bus, nodeOf("a3"));
      await using command = start("drain", "a3");
      await new Promise<void>((resolve) => {
        void bus.state.watch("orders.", ({ key }) => key === keys.order("a3") && resolve());
      });
      await before[Symbol.asyncDispose]();
      await using _after = await beating(bus, nodeOf("a3", { instance: "a3-2" }));
      expect(await command.ended).toMatchObject({ code: 0, stdout: "a3 has left\n" });
    });

    test.each([
      ["a44", 'Unknown node "a44", did you mean "a4"?\n'],
      ["c4", 'Cannot drain coordinator "c4": end it with SIGTERM, and it hands its jobs to the others\n'],
      ["gone", 'Cannot drain node "gone": it is silent, and gone as far as others can tell\n'],
    ])("drain %s is refused", async (name, stderr) => {
      await bus.nodes.put(keys.node("gone"), JSON.stringify(nodeOf("gone")));
      await using _a = await beating(bus, nodeOf("a4"));
      await using _c = await beating(bus, coordinatorOf("c4"));
      expect(await run("drain", name)).toMatchObject({ code: 2, stdout: "", stderr });
    });
  });

  describe("cancel", () => {
    test("a job that nobody leads is canceled on the spot", async () => {
      await put(jobOf("cancel-a"));
      expect(await run("cancel", "cancel-a")).toMatchObject({ code: 0, stdout: "cancel-a is canceled\n" });
      expect(await job("cancel-a")).toMatchObject({ state: "canceled", cancel: true, endedAt: expect.any(String) });
      expect(await run("cancel", "cancel-a", "--json")).toMatchObject({ code: 0 });
    });

    test("a job that is led is canceled by its leader, and waited for", async () => {
      const record = await put(jobOf("cancel-b", { state: "running", leader: "c1", starts: 1 }));
      await using _c = await beating(bus, coordinatorOf("c1"));
      await using _leader = await bus.state.watch("jobs.", ({ key, value, revision }) => {
        if (key !== keys.job(record.id) || parseRecord(jobRecord, value)?.cancel !== true) return;
        const canceled = JSON.stringify({ ...record, cancel: true, state: "canceled" });
        if (parseRecord(jobRecord, value)?.state === "running") void bus.state.update(key, canceled, revision);
      });
      expect(await run("cancel", "cancel-b")).toMatchObject({ code: 0, stdout: "cancel-b is canceled\n" });
    });

    test("a job that came to its end is past canceling", async () => {
      await put(jobOf("cancel-c", { state: "done" }));
      const stderr = "Cannot cancel job cancel-c: it is over already, and done\n";
      expect(await run("cancel", "cancel-c")).toMatchObject({ code: 2, stdout: "", stderr });
    });
  });

  describe("watch", () => {
    const led: Partial<JobRecord> = { state: "running", leader: "c1", starts: 1 };

    test("a job is watched through changes of leader and an absence of NATS, to its end", async () => {
      const record = await put(jobOf("watch-a", led));
      tell("watch-a", { job: "watch-a", message: "Merging: 3 units" });
      await using command = start("watch", "watch-a", "--json");
      await command.event("said");
      await server?.restart();
      await command.event("connected");
      await until(() => bus.isConnected);
      await put({ ...record, leader: "c2", starts: 2 });
      await command.event("state", 2);
      await put({ ...record, leader: "c2", starts: 2, state: "done", endedAt: new Date().toISOString(), digest: "d1" });
      const { code } = await command.ended;
      expect(code).toBe(0);
      expect(command.events.map(({ event }) => event).filter((event) => event !== "neglected")).toEqual([
        ...["state", "said", "disconnected", "connected", "state", "state", "done"],
      ]);
      expect(command.events.at(-1)).toMatchObject({ job: "watch-a", output: "/outputs/watch-a", digest: "d1" });
    });

    test.each<[state: JobRecord["state"], fields: Partial<JobRecord>, code: number, stderr: string]>([
      ["failed", { code: "out_of_space", reason: "Cannot write: no space" }, 1, "Cannot write: no space\n"],
      ["failed", { code: "recipe_invalid", reason: "a.yaml:1:1  no" }, 2, "a.yaml:1:1  no\n"],
      ["canceled", {}, 130, "Job watch-b was canceled\n"],
    ])("a job that is %s %j ends a watch with %i", async (state, fields, code, stderr) => {
      await put(jobOf("watch-b", { ...led, state, ...fields }));
      const outcome = await run("watch", "watch-b");
      expect(outcome.code).toBe(code);
      expect(outcome.stderr.endsWith(stderr)).toBe(true);
    });

    test.each(["stdout", "stderr"] as const)(
      "a watch ends in peace when nobody reads its %s any more",
      async (stream) => {
        const record = await put(jobOf("watch-d", led));
        await using command = start("watch", "watch-d", ...(stream === "stdout" ? ["--json"] : []));
        await new Promise<void>((resolve) => command.child[stream]?.once("data", () => resolve()));
        command.child[stream]?.destroy();
        await put({ ...record, leader: "c2", starts: 2 });
        expect(await command.ended).toMatchObject({ code: 0, signal: null });
        expect(await job("watch-d")).toMatchObject({ state: "running", cancel: false });
      },
    );

    test("Ctrl-C ends the watch and not the job", async () => {
      await put(jobOf("watch-c", led));
      await using command = start("watch", "watch-c", "--json");
      await command.event("state");
      const { code, stderr } = await command.kill("SIGINT");
      expect([code, stderr]).toEqual([130, "Watching ended, the job goes on: amalgam watch watch-c\n"]);
      expect(await job("watch-c")).toMatchObject({ state: "running", cancel: false });
    });
  });

  describe("logs", () => {
    const at = "2026-01-01T00:00:00.000Z";

    test("events of a job, of a node, and since a time, one to a line", async () => {
      tell("logs-a", { at, job: "logs-a", node: "c7", message: "first\nline \u001b[2J" });
      tell("logs-a", { job: "logs-a", node: "c8", level: "warning", message: "second" });
      tell("c8", { at, node: "c8", message: "about itself" });
      bus.events.append("logs-a", "no event");
      await put(jobOf("logs-a"));
      const lines = async (...argv: readonly string[]): Promise<readonly string[]> => {
        const { code, stdout } = await run("logs", ...argv);
        expect(code).toBe(0);
        return stdout.split("\n").filter((line) => line !== "");
      };
      const second = expect.stringMatching(/^\S+ c8 warning second$/);
      expect(await lines("logs-a")).toEqual([`${at} c7 info first\\nline \\u001b[2J`, second]);
      expect(await lines("logs-a", "--since", "1h")).toEqual([second]);
      expect(await lines("logs-a", "--since", "2025-12-31")).toHaveLength(2);
      expect(await lines("--node", "c8")).toEqual([
        expect.stringMatching(/ c8 warning logs-a: second$/),
        `${at} c8 info about itself`,
      ]);
      const [event = ""] = await lines("logs-a", "--json");
      expect(JSON.parse(event)).toMatchObject({ event: "said", job: "logs-a", message: "first\nline \u001b[2J" });
    });

    test("--since wants a time", async () => {
      expect(await run("logs", "--since", "soon")).toMatchObject({ code: 2, stdout: "" });
    });

    test("--follow ends in peace when nobody reads any more", async () => {
      await put(jobOf("logs-c"));
      tell("logs-c", { job: "logs-c", message: "before" });
      await using command = start("logs", "logs-c", "--follow");
      await command.line((line) => line.endsWith("before"));
      command.child.stdout?.destroy();
      tell("logs-c", { job: "logs-c", message: "after" });
      expect(await command.ended).toMatchObject({ code: 0, signal: null, stderr: "" });
    });

    test("--follow goes on until it is interrupted", async () => {
      await put(jobOf("logs-b"));
      tell("logs-b", { at, job: "logs-b", message: "before" });
      await using command = start("logs", "logs-b", "--follow");
      await command.line((line) => line === `${at} c1 info before`);
      tell("logs-b", { at, job: "logs-b", message: "after" });
      await command.line((line) => line === `${at} c1 info after`);
      expect(await command.kill("SIGINT")).toMatchObject({ code: 130, stderr: "" });
    });
  });
});

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 20));
}
