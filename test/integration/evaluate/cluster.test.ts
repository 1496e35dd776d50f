import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { withTempDir } from "../../support/checkpoints.js";
import { startAmalgam } from "../../support/command.js";
import { type NatsServer, startNatsServer, whyNoNats } from "../../support/nats-server.js";
import { evaluateLocally, recordsIn, writeModel, writeSlowTask, writeTasks } from "./models.js";

// `amalgam eval --nats`: on the agents of a cluster, which come and go.

const why = whyNoNats();
let folder: Awaited<ReturnType<typeof withTempDir>>;
let server: NatsServer | undefined;
let tasks: string;
let model: string;
let golden: string;
const batches = 8;

beforeAll(async () => {
  folder = await withTempDir();
  if (why !== undefined) return;
  server = await startNatsServer({});
  await writeTasks(folder.path);
  tasks = await writeSlowTask(folder.path, batches);
  model = await writeModel(folder.path, "m0", "decoder");
  const output = join(folder.path, "golden");
  await evaluateLocally(tasks, [model], { output });
  golden = await recordsIn(output);
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

async function startMember(name: string, ...options: readonly string[]) {
  const words = ["agent", "--root", folder.path, "--slots", "1", "--name", name, "--nats", server?.url ?? ""];
  const agent = startAmalgam([...words, ...options]);
  await agent.line((line) => line.includes(" listens on "));
  return agent;
}

test.skipIf(why !== undefined)("an evaluation waits for agents, and passes over those that run no models", async () => {
  const output = join(folder.path, "out");
  await using command = startAmalgam(["eval", model, tasks, "--out", output, "--json", "--nats", server?.url ?? ""]);
  await command.event("waiting");
  await using without = await startMember("without", "--no-eval");
  await using able = await startMember("able");
  const { code, stderr } = await command.ended;
  expect([code, stderr]).toEqual([0, ""]);
  expect(await recordsIn(output)).toBe(golden);
  const named = (name: string) => command.events.filter(({ event }) => event === name);
  expect(named("batch")).toHaveLength(batches);
  expect(new Set(named("slice started").map(({ agent }) => agent))).toEqual(new Set(["able"]));
  expect([without.child.exitCode, able.child.exitCode]).toEqual([null, null]);
});
