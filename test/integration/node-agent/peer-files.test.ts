import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { fetchRange } from "../../../coordinator/sources/fetch-range.js";
import { PeerFiles } from "../../../node-agent/files/peer-files.js";
import { RangeReader } from "../../../node-agent/files/read-range.js";
import { IoLimit } from "../../../node-agent/io-limit.js";
import { createConfinement } from "../../../node-agent/roots.js";
import { AgentService, ReadRequestSchema } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { createClient } from "../../../shared/rpc/client.js";
import { loopback } from "../../../shared/rpc/security.js";
import { temporaryFolder } from "../../support/dispatch.js";
import { startReadServer } from "../../support/read-server.js";

// A busy agent is not a dead one: what waits for its turn there is waited for here.

const never = new AbortController().signal;

async function start(stallMs: number) {
  const folder = await temporaryFolder();
  const path = join(folder.path, "weights");
  const content = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 7 + (i >> 9)) & 255);
  await writeFile(path, content);
  const { mtimeMs } = await stat(path);
  const file = { path, bytes: BigInt(content.length), modifiedMs: mtimeMs };
  const files = new PeerFiles({ security: loopback, stallMs });
  return {
    folder: folder.path,
    file,
    content,
    async fetch(peers: readonly string[], length = content.length): Promise<Buffer> {
      const got: Uint8Array[] = [];
      const wanted = { file: { ...file, peers: [...peers], peerNames: [] }, offset: 0, length };
      await files.fetch(wanted, (bytes) => got.push(bytes), never);
      return Buffer.concat(got);
    },
    async [Symbol.asyncDispose]() {
      files.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

test("a peer that says that it is busy is waited for longer than one that says nothing", async () => {
  await using given = await start(500);
  await using silent = await startReadServer({ hang: true });
  await expect(given.fetch([silent.address])).rejects.toMatchObject({
    code: "io_failed",
    message: expect.stringContaining("sent nothing for 500 ms"),
  });
  await using busy = await startReadServer({ notices: { count: 12, everyMs: 100 } });
  expect((await given.fetch([busy.address])).equals(given.content)).toBe(true);
  const client = createClient(AgentService, busy.address);
  const range = await fetchRange(client, given.file, 0, given.content.length);
  client.close();
  expect(Buffer.from(range).equals(given.content)).toBe(true);
});

test("no more than 8 MiB are asked of one peer at once", async () => {
  await using given = await start(20_000);
  await using busy = await startReadServer({ notices: { count: 2, everyMs: 150 } });
  const all = await Promise.all(Array.from({ length: 12 }, () => given.fetch([busy.address], 2 << 20)));
  expect(all.map((bytes) => bytes.length)).toEqual(new Array(12).fill(2 << 20));
  expect([busy.calls, busy.mostAtOnce]).toEqual([12, 4]);
});

test("fetches that wait for a peer that stalls go on with the next one as soon as that is known", async () => {
  await using given = await start(1_000);
  await using silent = await startReadServer({ hang: true });
  await using other = await startReadServer({});
  const peers = [silent.address, other.address];
  const all = await Promise.all(Array.from({ length: 12 }, () => given.fetch(peers, 2 << 20)));
  expect(all.every((bytes) => bytes.equals(given.content.subarray(0, 2 << 20)))).toBe(true);
  expect(silent.calls).toBe(4);
});

test("a range that waits for the limit of its agent says so, and then comes whole", async () => {
  await using given = await start(20_000);
  const limit = IoLimit.of(8 << 20);
  const reader = new RangeReader(createConfinement([given.folder]), limit, 20);
  limit.take(4 << 20);
  const sent: Uint8Array[] = [];
  const request = create(ReadRequestSchema, { file: given.file, length: given.file.bytes, chunkBytes: 1 });
  const send = async ({ data }: { data: Uint8Array }): Promise<void> => void sent.push(data);
  await reader.read(request, { signal: never, send });
  expect(sent[0]).toHaveLength(0);
  expect(Buffer.concat(sent).equals(given.content)).toBe(true);
  const chunks = sent.filter(({ length }) => length > 0);
  expect(chunks.slice(0, -1).every(({ length }) => length === 64 << 10)).toBe(true);
  const after = sent.length;
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(sent).toHaveLength(after);
});
