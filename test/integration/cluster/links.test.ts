import { readFileSync } from "node:fs";
import { mkdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { openBus } from "../../../shared/bus/nats/open.js";
import { formatHeader } from "../../../shared/checkpoint/header.js";
import { DescribeResponseSchema } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { BulkyCluster } from "../../support/cluster/bulky-cluster.js";
import { bitFlipper, type LinkProxy, startProxy } from "../../support/cluster/proxy.js";
import { beating, nodeOf } from "../../support/cluster-records.js";
import { type RunningCommand, startAmalgam } from "../../support/command.js";
import { startFakeServer } from "../../support/dispatch.js";
import { mergeLocally } from "../../support/merges.js";
import { natsPath, whyNoNats } from "../../support/nats-server.js";
import { hashDirectory } from "../../support/plans.js";
import { noHangingDisk, withHangingDisk } from "../../support/small-disk.js";

// What is between a coordinator and an agent is slow or damages bytes, and agents are of another version.

const reason = whyNoNats();
let setting: BulkyCluster;

beforeAll(async () => {
  if (reason !== undefined) return;
  setting = await BulkyCluster.start({ network: "loopback", nats: natsPath(), coordinators: 1, agents: 0 });
});
afterEach(() => setting?.cluster.heal());
afterAll(() => setting?.[Symbol.asyncDispose]());

/** An agent of the cluster; others reach it through the proxy, if there is one. */
async function startMember(name: string, proxy?: LinkProxy): Promise<RunningCommand & { readonly address: string }> {
  const { cluster, folder } = setting;
  const where = proxy === undefined ? [] : ["--advertise", proxy.address];
  const words = ["--nats", cluster.natsUrl, "--root", folder, "--slots", "1", "--name", name, ...where];
  const agent = startAmalgam(["agent", ...words]);
  const line = await agent.line((text) => text.includes(" listens on "));
  const address = line.slice(line.lastIndexOf(" ") + 1);
  proxy?.leadTo(Number(address.split(":").at(-1)));
  await agent.line((text) => text.includes("joined the cluster"));
  return { ...agent, address };
}

describe.skipIf(reason !== undefined)(`links${reason === undefined ? "" : ` (${reason})`}`, () => {
  test("N7: bits flip on the way: every damaged chunk is found out and computed again", async () => {
    const flipper = bitFlipper(5);
    await using proxy = await startProxy(flipper);
    await using _damaged = await startMember("damaged", proxy);
    await using _sound = await startMember("sound");
    await using job = await setting.begin({ argv: ["--assembly", "stream"] });
    await job.expectDone();
    expect(flipper.flipped).toBe(5);
    const failed = job.watch.events.filter(({ event }) => event === "unit failed");
    expect(failed.map(({ agent, code }) => [agent, code])).toEqual(Array(5).fill(["damaged", "chunk_corrupt"]));
  });

  test("N12: a round trip of 50 ms: megabytes are on their way at once", async () => {
    await using proxy = await startProxy({ delayMs: 25 });
    await using _far = await startMember("far", proxy);
    await using job = await setting.begin({ argv: ["--assembly", "stream"], unitBytes: 16 << 20 });
    await job.expectDone();
    expect(job.count("unit failed")).toBe(0);
    // With HTTP/2's own window it would be 64 KiB, however busy the machine is.
    expect(proxy.mostInFlight).toBeGreaterThan(512 << 10);
  });

  test("N11: the output's disk hangs while agents stream: the coordinator takes in no more than it can hold", async ({
    skip,
  }) => {
    const { cluster, folder } = setting;
    await using disk = (await withHangingDisk("500M")) ?? skip(noHangingDisk);
    const recipe = await writeSparse(join(folder, "models", "sparse"));
    await mergeLocally(recipe, join(folder, "golden-sparse"), { slots: 2 });
    const output = join(disk.path, "merged");
    const rss = (): number => residentBytes(cluster.coordinator(1).pid);
    await using _one = await startMember("one");
    await using _two = await startMember("two");
    const words = ["--assembly", "stream", "--unit-size", "128MiB", "--watch", "--json"];
    const before = rss();
    await using watch = cluster.start("submit", recipe, output, ...words);
    // One for each agent, all that there is.
    await watch.event("unit started", 2);
    disk.freeze();
    let most = before;
    for (let looks = 0; looks < 30; looks += 1) {
      await sleep(100);
      most = Math.max(most, rss());
    }
    const running = watch.events.at(-1);
    disk.thaw();
    expect(running).not.toMatchObject({ event: "done" });
    expect((await watch.ended).code).toBe(0);
    expect(await hashDirectory(output)).toEqual(await hashDirectory(join(folder, "golden-sparse")));
    // 256 MiB were to come.
    expect(most - before).toBeLessThan(128 << 20);
  });

  test("N15: agents of other versions are left alone, with the reason, and the others do the job", async () => {
    const { cluster } = setting;
    await using bus = await openBus({ url: cluster.natsUrl, name: "test" });
    const asked: string[] = [];
    const merge = (): never => {
      asked.push("merge");
      throw new Error("It was not to be asked");
    };
    const onDescribe = (): void => void asked.push("describe");
    await using other = await startFakeServer({ merge, onDescribe });
    await using liar = await startFakeServer({ merge, describe: { name: "liar", kernels: "of tomorrow" } });
    // Of a version that says more than ours understands, besides.
    const future = { mood: "cheerful" };
    await using _other = await beating(bus, {
      ...nodeOf("other", { address: other.address, protocol: 999 }),
      ...future,
    });
    await using _liar = await beating(bus, { ...nodeOf("liar", { address: liar.address }), ...future });
    await using _usual = await startMember("usual");
    await using job = await setting.begin({ unitBytes: 1 << 20 });
    await job.expectDone();
    expect(asked).toEqual([]);
    const unfit = job.watch.events.filter(({ event }) => event === "agent unfit");
    expect(Object.fromEntries(unfit.map(({ agent, message }) => [agent, message]))).toEqual({
      other: expect.stringContaining("has protocol 999"),
      liar: expect.stringContaining('kernels "of tomorrow"'),
    });
    expect((await cluster.run("nodes")).stdout).toMatch(/^other +agent +not used .*^other is not used: its version/ms);
  });

  test("N15: an agent passes over fields that it does not know", async () => {
    await using agent = await startMember("older");
    const client = new Client(agent.address, credentials.createInsecure());
    // Field 99, a number: 1.
    const request = Buffer.from([0x98, 0x06, 0x01]);
    const same = (bytes: Buffer): Buffer => bytes;
    const answer = await new Promise<Buffer>((resolve, reject) => {
      client.makeUnaryRequest("/amalgam.v1.AgentService/Describe", same, same, request, (error, value) =>
        value === undefined ? reject(error) : resolve(value),
      );
    });
    client.close();
    expect(fromBinary(DescribeResponseSchema, answer).name).toBe("older");
  });
});

/** A recipe for two models of 256 MiB that take no space on the disk. */
async function writeSparse(folder: string): Promise<string> {
  const bytes = 256 << 20;
  const header = formatHeader([{ name: "weight", dtype: "BF16", shape: [bytes / 2048, 1024] }]);
  for (const name of ["a", "b"]) {
    await mkdir(join(folder, name), { recursive: true });
    await writeFile(join(folder, name, "config.json"), '{"model_type":"test"}');
    const file = join(folder, name, "model.safetensors");
    await writeFile(file, header);
    await truncate(file, header.length + bytes);
  }
  const recipe = join(folder, "recipe.yaml");
  await writeFile(recipe, "merge_method: linear\nparameters: { weight: 0.5 }\nmodels: [{ model: a }, { model: b }]\n");
  return recipe;
}

function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}
