import { execFileSync } from "node:child_process";
import { appendFile, chmod, mkdir, stat, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { Server, ServerCredentials, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { expect, test, vi } from "vitest";
import { Fences } from "../../../node-agent/fences.js";
import { runAgent } from "../../../node-agent/main.js";
import { WorkerPool } from "../../../node-agent/pool.js";
import { createConfinement } from "../../../node-agent/roots.js";
import { createAgentService } from "../../../node-agent/service.js";
import { AmalgamError } from "../../../shared/errors.js";
import { AgentService, FileState } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { serverOptions } from "../../../shared/rpc/channel.js";
import { createClient } from "../../../shared/rpc/client.js";
import { serviceDefinition } from "../../../shared/rpc/service-definition.js";
import { collect, temporaryFolder } from "../../support/dispatch.js";

// Locate, List and Read: what an agent says of its files, and what it keeps to itself.

async function start(options: { ioBytesPerSecond?: number } = {}) {
  const folder = await temporaryFolder();
  const [root, outside] = [join(folder.path, "root"), join(folder.path, "outside")];
  await Promise.all([mkdir(root), mkdir(outside)]);
  await writeFile(join(outside, "secret"), "secret");
  const agent = await runAgent({ roots: [root], slots: 1, ...options });
  const client = createClient(AgentService, agent.address);
  return {
    root,
    outside,
    client,
    async file(name: string, content: string | Uint8Array) {
      const path = join(root, name);
      await writeFile(path, content);
      return sourceOf(path);
    },
    async [Symbol.asyncDispose]() {
      client.close();
      await agent.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function sourceOf(path: string) {
  const { size, mtimeMs } = await stat(path);
  return { path, bytes: BigInt(size), modifiedMs: mtimeMs };
}

const { PRESENT, MISSING, CHANGED, REFUSED } = FileState;

test("Locate tells files that are there from those that are missing, changed or none of its business", async () => {
  await using given = await start();
  const { root, outside, client } = given;
  const there = await given.file("a", "abc");
  await utimes(there.path, 1_700_000_000.1234567, 1_700_000_000.1234567);
  const precise = await sourceOf(there.path);
  await symlink(join(outside, "secret"), join(root, "out"));
  await symlink("a", join(root, "in"));
  await symlink("loop", join(root, "loop"));
  execFileSync("mkfifo", [join(root, "fifo")]);
  const cases = [
    [precise, PRESENT],
    [{ ...precise, path: join(root, "in") }, PRESENT],
    [{ ...precise, path: join(root, "b") }, MISSING],
    [{ ...precise, path: join(there.path, "below") }, MISSING],
    [{ ...precise, bytes: 4n }, CHANGED],
    [{ ...precise, modifiedMs: precise.modifiedMs + 0.001 }, CHANGED],
    [{ ...precise, path: root }, REFUSED],
    [{ ...precise, path: join(root, "fifo") }, REFUSED],
    [{ ...precise, path: join(root, "loop") }, REFUSED],
    [{ ...precise, path: join(root, "out") }, REFUSED],
    [await sourceOf(join(outside, "secret")), REFUSED],
    [{ ...precise, path: join(outside, "missing") }, REFUSED],
    [{ ...precise, path: `${root}/../outside/secret` }, REFUSED],
    [{ ...precise, path: "a" }, REFUSED],
    [{ ...precise, path: `${root}/a\0b` }, REFUSED],
    [{ ...precise, path: join(root, "x".repeat(5000)) }, REFUSED],
  ] as const;
  const { files, sharesOutput } = await client.locate({ files: cases.map(([file]) => file) });
  expect(files).toEqual(cases.map(([, state]) => state));
  expect(sharesOutput).toBe(false);
});

test("Locate refuses more files than any plan has", async () => {
  await using given = await start();
  const file = { path: "/x", bytes: 0n, modifiedMs: 0 };
  await expect(given.client.locate({ files: new Array(100_001).fill(file) })).rejects.toMatchObject({ code: "usage" });
});

test("an agent shares the output when it finds the probe with its token in a folder that it can write to", async () => {
  await using given = await start();
  const { root, outside, client } = given;
  const probe = join(root, "probe");
  await writeFile(probe, "token");
  await writeFile(join(outside, "probe"), "token");
  const shares = async (path: string, token: string) => (await client.locate({ probe: { path, token } })).sharesOutput;
  expect(await shares(probe, "token")).toBe(true);
  expect(await shares(probe, "another")).toBe(false);
  expect(await shares(probe, "toke")).toBe(false);
  expect(await shares(probe, "")).toBe(false);
  expect(await shares(join(root, "none"), "token")).toBe(false);
  expect(await shares(join(outside, "probe"), "token")).toBe(false);
  if (process.getuid?.() === 0) return;
  await chmod(root, 0o500);
  expect(await shares(probe, "token")).toBe(false);
  await chmod(root, 0o700);
});

test("List names files and folders, and nothing that leads out", async () => {
  await using given = await start();
  const { root, outside, client } = given;
  const file = await given.file("b.txt", "hello");
  await mkdir(join(root, "a"));
  await symlink(outside, join(root, "out"));
  await symlink("nowhere", join(root, "broken"));
  await symlink("b.txt", join(root, "link"));
  execFileSync("mkfifo", [join(root, "fifo")]);
  const { entries } = await client.list({ path: root });
  expect(entries).toMatchObject([
    { name: "a", isFolder: true },
    { name: "b.txt", isFolder: false, bytes: 5n, modifiedMs: file.modifiedMs },
    { name: "link", isFolder: false, bytes: 5n },
  ]);
  for (const path of [outside, `${root}/..`, join(root, "out"), "root"]) {
    await expect(client.list({ path }), path).rejects.toMatchObject({ code: "path_refused" });
  }
  await expect(client.list({ path: join(root, "none") })).rejects.toMatchObject({ code: "checkpoint_malformed" });
});

test.each([
  ["whole", 0, 3_000_000],
  ["from the middle", 999_999, 1_000_002],
  ["empty", 3_000_000, 0],
  ["the last byte", 2_999_999, 1],
])("Read sends a range in checked chunks: %s", async (_, offset, length) => {
  await using given = await start();
  const content = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 7 + (i >> 9)) & 255);
  const file = await given.file("m", content);
  const range = { file, offset: BigInt(offset), length: BigInt(length) };
  for (const chunkBytes of [0, 100_000, 1 << 30]) {
    const chunks = await collect(given.client.read({ ...range, chunkBytes }));
    const got = Buffer.concat(chunks.map(({ data }) => data));
    expect(got.equals(content.subarray(offset, offset + length))).toBe(true);
    for (const { data, crc32: sum } of chunks) expect(crc32(data)).toBe(sum);
    expect(Math.max(0, ...chunks.map(({ data }) => data.length))).toBeLessThanOrEqual(1 << 20);
    if (chunkBytes === 100_000) expect(chunks).toHaveLength(Math.ceil(length / 100_000));
  }
});

test("Read refuses what is not below the roots, not a file, not there, or not what was planned", async () => {
  await using given = await start();
  const { root, outside, client } = given;
  const file = await given.file("m", "0123456789");
  await symlink(join(outside, "secret"), join(root, "out"));
  execFileSync("mkfifo", [join(root, "fifo")]);
  const read = (changes: object, range = { offset: 0n, length: 1n }) =>
    collect(client.read({ file: { ...file, ...changes }, ...range }));
  await expect(read({ path: join(root, "out") })).rejects.toMatchObject({ code: "path_refused" });
  await expect(read({ path: join(outside, "secret") })).rejects.toMatchObject({ code: "path_refused" });
  await expect(read({ path: join(root, "fifo") })).rejects.toMatchObject({ code: "checkpoint_malformed" });
  await expect(read({ path: root })).rejects.toMatchObject({ code: "checkpoint_malformed" });
  await expect(read({ path: join(root, "none") })).rejects.toMatchObject({ code: "checkpoint_malformed" });
  await expect(read({ bytes: 11n })).rejects.toMatchObject({ code: "checkpoint_changed" });
  await expect(read({ modifiedMs: 1 })).rejects.toMatchObject({ code: "checkpoint_changed" });
  await expect(read({}, { offset: 5n, length: 6n })).rejects.toMatchObject({ code: "usage" });
  await expect(read({}, { offset: 2n ** 64n - 1n, length: 2n })).rejects.toMatchObject({ code: "usage" });
  await expect(read({ bytes: 2n ** 60n }, { offset: 2n ** 59n, length: 1n })).rejects.toMatchObject({ code: "usage" });
  await expect(collect(client.read({ length: 1n }))).rejects.toMatchObject({ code: "usage" });
});

test("a file that is cut short while it is read is an error, and never other bytes", async () => {
  await using given = await start({ ioBytesPerSecond: 20e6 });
  const file = await given.file("m", new Uint8Array(8 << 20).fill(7));
  const reading = (async () => {
    let first = true;
    for await (const _ of given.client.read({ file, length: file.bytes, chunkBytes: 64 << 10 })) {
      if (first) await truncate(file.path, 1 << 20);
      first = false;
    }
  })();
  await expect(reading).rejects.toMatchObject({ code: "checkpoint_changed" });
});

test("calls of a leader that another one has followed are refused, and a read that runs is stopped", async () => {
  await using given = await start({ ioBytesPerSecond: 1 << 20 });
  const { client } = given;
  const file = await given.file("m", new Uint8Array(4 << 20));
  const by = (fence: bigint) => ({ leadership: { job: "job", fence } });
  const reading = collect(client.read({ file, length: file.bytes, chunkBytes: 1 << 16, ...by(4n) }));
  const stopped = expect(reading).rejects.toMatchObject({ code: "fenced" });
  await client.locate({ files: [file], ...by(4n) });
  await client.describe(by(5n));
  await stopped;
  await expect(client.locate({ files: [file], ...by(4n) })).rejects.toMatchObject({ code: "fenced" });
  await expect(collect(client.read({ file, length: 1n, ...by(4n) }))).rejects.toMatchObject({ code: "fenced" });
  await expect(client.describe(by(4n))).rejects.toMatchObject({ code: "fenced" });
  await client.locate({ files: [file], ...by(5n) });
});

test("a reader that takes nothing costs the agent a few chunks, however long the range is", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "sparse");
  await appendFile(path, "");
  await truncate(path, 400 << 20);
  const confinement = createConfinement([folder.path]);
  const entry = new URL("../../../node-agent/worker.js", import.meta.url);
  // The limit is never met; it sees every byte that is read.
  const pool = new WorkerPool({
    entry,
    workers: 1,
    memoryBytes: 1 << 24,
    roots: [folder.path],
    ioBytesPerSecond: 1e15,
  });
  if (pool.ioLimit === undefined) throw new Error("The pool has no limit");
  const taken = vi.spyOn(pool.ioLimit, "take");
  const readBytes = (): number => taken.mock.calls.reduce((sum, [bytes]) => sum + bytes, 0);
  const service = createAgentService({
    pool,
    confinement,
    fences: new Fences(),
    refusal: () => undefined,
    describe: () => ({}),
  });
  const server = new Server(serverOptions);
  server.addService(serviceDefinition(AgentService), service as unknown as UntypedServiceImplementation);
  const port = await new Promise<number>((resolve) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (_, bound) => resolve(bound));
  });
  const client = createClient(AgentService, `127.0.0.1:${port}`);
  try {
    const file = await sourceOf(path);
    const responses = client.read({ file, length: file.bytes, chunkBytes: 1 << 20 });
    await responses.next();
    // It stands still when the reader's window, which the agent has no say in, is full.
    let before = -1;
    await expect
      .poll(
        () => {
          const isStill = readBytes() === before;
          before = readBytes();
          return isStill;
        },
        { interval: 300, timeout: 20_000 },
      )
      .toBe(true);
    expect(readBytes()).toBeLessThan(64 << 20);
    await responses.return();
    await expect.poll(() => readBytes(), { timeout: 10_000 }).toBe(before);
    expect((await client.list({ path: folder.path })).entries).toHaveLength(1);
  } finally {
    client.close();
    server.forceShutdown();
    await pool.close(new AmalgamError("canceled", "The test is over"));
  }
});
