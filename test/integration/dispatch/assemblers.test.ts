import { readFile, rename, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { connectAgents } from "../../../coordinator/dispatch/agents.js";
import { Assemblers } from "../../../coordinator/dispatch/assemblers/assemblers.js";
import { dispatch } from "../../../coordinator/dispatch/dispatcher.js";
import { createRequestBuilder } from "../../../coordinator/dispatch/request.js";
import { runAgent } from "../../../node-agent/main.js";
import { AmalgamError } from "../../../shared/errors.js";
import { readSecurity, type Security } from "../../../shared/rpc/security.js";
import { makeCertificates } from "../../support/cluster/certificates.js";
import {
  collect,
  expectedOutput,
  fakePlan,
  fakeWorker,
  only,
  startAgent,
  startFakeServer,
  streamed,
  temporaryFolder,
  unitPerTensor,
} from "../../support/dispatch.js";

// Threads that take in what agents stream: over real sockets, into real files.

const plan = fakePlan(Array.from({ length: 12 }, (_, i) => ({ name: `t${i}`, elements: 3_000 + i })));
const units = unitPerTensor(plan);
const [output] = plan.files;
if (output === undefined) throw new Error("The plan has no file");
const build = createRequestBuilder(plan, "test");

async function startAssemblers(folder: string, count: number, security?: Security) {
  const path = join(folder, output?.name ?? "");
  await writeFile(path, "");
  await truncate(path, output?.bytes ?? 0);
  const files = [{ path, begin: output?.header.length ?? 0, end: output?.bytes ?? 0 }];
  return Object.assign(new Assemblers(count, { files, security }), { path });
}

function requestOf(index: number) {
  const unit = units[index];
  if (unit === undefined) throw new RangeError(`No unit ${index}`);
  return build(unit, { epoch: 1, task: streamed });
}

test.each([1, 3])("%i threads put every byte of two agents in its place", async (count) => {
  await using folder = await temporaryFolder();
  await using first = await startAgent(folder.path);
  await using second = await startAgent(folder.path);
  await using agents = await connectAgents([first.address, second.address]);
  await using assemblers = await startAssemblers(folder.path, count);
  let progress = 0;
  const results = await collect(
    dispatch(units, {
      agents,
      onEvent: (event) => {
        if (event.type === "progress") progress += 1;
      },
      run: ({ unit, agent, epoch, signal, onProgress }) =>
        assemblers.run(agent, build(unit, { epoch, task: streamed }), { signal, onProgress }),
    }),
  );
  await assemblers.sync();
  expect(results).toHaveLength(units.length);
  expect(results.every(({ receipts }) => receipts.length === 1)).toBe(true);
  expect(progress).toBeGreaterThan(0);
  expect((await readFile(assemblers.path)).equals(expectedOutput(plan))).toBe(true);
});

test("threads show a certificate as the coordinator does", async () => {
  await using folder = await temporaryFolder();
  const security = readSecurity(await makeCertificates(join(folder.path, "certificates"), []));
  await using agent = await runAgent({ roots: [folder.path], worker: fakeWorker, slots: 2, security });
  await using agents = await connectAgents([agent.address], { security });
  await using assemblers = await startAssemblers(folder.path, 1, security);
  expect((await assemblers.run(only(agents), requestOf(0), {})).receipts).toHaveLength(1);

  const { address, name, label } = only(agents);
  const impostor = { address, name, label, certifiedName: "another" };
  await expect(assemblers.run(impostor, requestOf(0), {})).rejects.toThrow(
    'the node that is said to be there is "another"',
  );
});

test("a failure comes back as it was, and the thread lives on", async () => {
  await using folder = await temporaryFolder();
  await using good = await startAgent(folder.path);
  await using liar = await startFakeServer({
    merge: (_, send) => {
      const data = new Uint8Array(100);
      send({ event: { case: "chunk", value: { piece: 0, offset: 0n, data, crc32: crc32(data) + 1 } } });
    },
  });
  await using agents = await connectAgents([good.address]);
  await using liars = await connectAgents([liar.address]);
  await using assemblers = await startAssemblers(folder.path, 1);
  await expect(assemblers.run(only(liars), requestOf(0), {})).rejects.toMatchObject({
    code: "chunk_corrupt",
    message: expect.stringContaining('bytes [0, 100) of "t0" damaged'),
    details: { unit: "0", tensor: "t0" },
  });
  expect((await assemblers.run(only(agents), requestOf(0), {})).receipts).toHaveLength(1);
});

test("an attempt that is not wanted any more ends with the reason, and its agent is told", async () => {
  await using folder = await temporaryFolder();
  let isCanceled: () => void = () => undefined;
  const canceled = new Promise<void>((resolve) => {
    isCanceled = resolve;
  });
  let hasBegun: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => {
    hasBegun = resolve;
  });
  await using stuck = await startFakeServer({
    merge: (_, _send, call) => {
      hasBegun();
      return new Promise<void>((resolve) => {
        call.on("cancelled", () => {
          isCanceled();
          resolve();
        });
      });
    },
  });
  await using agents = await connectAgents([stuck.address]);
  await using assemblers = await startAssemblers(folder.path, 1);
  const stop = new AbortController();
  const running = assemblers.run(only(agents), requestOf(0), { signal: stop.signal });
  await begun;
  stop.abort(new AmalgamError("fenced", "Somebody else leads"));
  await expect(running).rejects.toMatchObject({ code: "fenced", message: "Somebody else leads" });
  await canceled;
});

test("a file that could not be opened is opened again", async () => {
  await using folder = await temporaryFolder();
  await using agent = await startAgent(folder.path);
  await using agents = await connectAgents([agent.address]);
  await using assemblers = await startAssemblers(folder.path, 1);
  const aside = join(folder.path, "aside");
  await rename(assemblers.path, aside);
  await expect(assemblers.run(only(agents), requestOf(0), {})).rejects.toMatchObject({ code: "io_failed" });
  await rename(aside, assemblers.path);
  expect((await assemblers.run(only(agents), requestOf(0), {})).receipts).toHaveLength(1);
});

test("a sync that fails names the file, and its bytes are in doubt", async () => {
  await using folder = await temporaryFolder();
  await using agent = await startAgent(folder.path);
  await using agents = await connectAgents([agent.address]);
  // It takes any byte and cannot be synced.
  const files = [{ path: "/dev/null", begin: output?.header.length ?? 0, end: output?.bytes ?? 0 }];
  await using assemblers = new Assemblers(2, { files, security: undefined });
  await assemblers.run(only(agents), requestOf(0), {});
  await expect(assemblers.sync()).rejects.toMatchObject({
    code: "io_failed",
    message: expect.stringContaining('Cannot sync "/dev/null"'),
  });
  expect([...assemblers.doubtful]).toEqual([0]);
});

test("what a thread wrote that is lost before its sync is in doubt", async () => {
  await using folder = await temporaryFolder();
  await using agent = await startAgent(folder.path);
  await using agents = await connectAgents([agent.address]);
  // Its certificate is no bytes, which ends the thread as it starts.
  const security = { kind: "mutual-tls", ca: 1n } as unknown as Security;
  await using assemblers = await startAssemblers(folder.path, 1, security);
  await expect(assemblers.run(only(agents), requestOf(0), {})).rejects.toThrow("An assembling thread was lost");
  await assemblers.sync();
  expect([...assemblers.doubtful]).toEqual([0]);
});

test("bytes that cannot be written fail the attempt and name the file", async () => {
  await using folder = await temporaryFolder();
  await using agent = await startAgent(folder.path);
  await using agents = await connectAgents([agent.address]);
  const files = [{ path: join(folder.path, "missing", "file"), begin: 64, end: output?.bytes ?? 0 }];
  await using assemblers = new Assemblers(1, { files, security: undefined });
  await expect(assemblers.run(only(agents), requestOf(0), {})).rejects.toThrow('Cannot write "');
});
