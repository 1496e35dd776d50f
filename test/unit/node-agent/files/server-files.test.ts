import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { ServerFiles, type ServerRange } from "../../../../node-agent/files/server-files.js";
import { AmalgamError } from "../../../../shared/errors.js";
import type { RemoteStore } from "../../../../shared/remote/remote-store.js";

const url = "https://host/model.safetensors";
const header = Buffer.from("\u0002\0\0\0\0\0\0\0{}");
const bytes = Buffer.concat([header, Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 251))]);

interface Given {
  readonly version?: string;
  readonly headerSha256?: Uint8Array;
  /** Done instead of delivering, with all that was asked before. */
  readonly onRead?: (asked: readonly [number, number][], signal: AbortSignal | undefined) => Promise<void> | undefined;
}

/** Files over a store that delivers in parts of 100 bytes. */
function open({ version = '"1"', headerSha256 = new Uint8Array(), onRead = () => undefined }: Given = {}) {
  const asked: [number, number][] = [];
  const store: RemoteStore = {
    find: () => Promise.reject(new Error("Nobody looks for models")),
    read: async (_, { offset, length }, deliver, signal) => {
      asked.push([offset, length]);
      await onRead(asked, signal);
      for (let at = offset; at < offset + length; at += 100) {
        deliver(bytes.subarray(at, Math.min(at + 100, offset + length)));
        await Promise.resolve();
      }
    },
    close: () => Promise.resolve(),
  };
  const files = new ServerFiles(() => Promise.resolve(store));
  const file = { path: url, bytes: BigInt(bytes.length), version, headerSha256 } as ServerRange["file"];
  const fetch = async (offset: number, length: number, { signal = new AbortController().signal, job = "job" } = {}) => {
    const parts: Uint8Array[] = [];
    await files.fetch({ file, offset, length, job }, (part) => parts.push(Uint8Array.from(part)), signal);
    return Buffer.concat(parts);
  };
  return { fetch, asked };
}

test("what one unit wants at once is one request, and each range gets its own bytes", async () => {
  const { fetch, asked } = open();
  const { signal } = new AbortController();
  const ranges = [
    [300, 250],
    [0, 300],
    [540, 100],
  ] as const;
  const got = await Promise.all(ranges.map(([offset, length]) => fetch(offset, length, { signal })));
  ranges.forEach(([offset, length], i) => {
    expect(got[i]).toEqual(bytes.subarray(offset, offset + length));
  });
  expect(asked).toEqual([[0, 640]]);
});

test("what two units want is two requests", async () => {
  const { fetch, asked } = open();
  await Promise.all([fetch(0, 100), fetch(100, 100)]);
  expect(asked).toHaveLength(2);
});

test("a unit that is over gets nothing any more, and the reason", async () => {
  const over = new AbortController();
  const { fetch } = open({
    onRead: () => {
      over.abort(new AmalgamError("canceled", "Over"));
      return undefined;
    },
  });
  await expect(fetch(0, 300, { signal: over.signal })).rejects.toMatchObject({ code: "canceled", message: "Over" });
  await expect(fetch(0, 300, { signal: over.signal })).rejects.toMatchObject({ code: "canceled" });
});

test("all that wait for a request hear of its failure", async () => {
  const failure = new AmalgamError("source_refused", "No");
  const { fetch } = open({ onRead: () => Promise.reject(failure) });
  const { signal } = new AbortController();
  const both = await Promise.allSettled([fetch(0, 10, { signal }), fetch(10, 10, { signal })]);
  expect(both).toEqual([
    { status: "rejected", reason: failure },
    { status: "rejected", reason: failure },
  ]);
});

test("without a version the header is compared, once for each job, before a byte is used", async () => {
  const headerSha256 = createHash("sha256").update(header).digest();
  const good = open({ version: "", headerSha256 });
  for (const job of ["one", "one", "two"]) await good.fetch(500, 100, { job });
  const headers = [
    [0, 8],
    [8, 2],
  ];
  expect(good.asked).toEqual([...headers, [500, 100], [500, 100], ...headers, [500, 100]]);
  const other = open({ version: "", headerSha256: Buffer.alloc(32, 1) });
  await expect(other.fetch(500, 100)).rejects.toMatchObject({ code: "checkpoint_changed", details: { file: url } });
  expect(other.asked).not.toContainEqual([500, 100]);
});

test("a comparison that ended with its unit is done again for another one that waits for it", async () => {
  const over = new AbortController();
  const { fetch } = open({
    version: "",
    headerSha256: createHash("sha256").update(header).digest(),
    onRead: async (asked, signal) => {
      if (asked.length > 1) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
      over.abort(new AmalgamError("canceled", "Over"));
      signal?.throwIfAborted();
    },
  });
  const first = fetch(500, 100, { signal: over.signal });
  const second = fetch(500, 100);
  await expect(first).rejects.toMatchObject({ code: "canceled" });
  expect(await second).toEqual(bytes.subarray(500, 600));
});
