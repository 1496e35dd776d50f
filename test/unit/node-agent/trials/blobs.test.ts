import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { Blobs } from "../../../../node-agent/trials/blobs.js";
import { Ledger } from "../../../../node-agent/trials/ledger.js";

const blob = (fill: number, bytes = 10): Uint8Array => new Uint8Array(bytes).fill(fill);
const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const digests = (...blobs: readonly Uint8Array[]): ReadonlySet<string> => new Set(blobs.map(digest));

test("blobs take a quarter of the memory, and the least recently used go", () => {
  const ledger = new Ledger(120);
  const blobs = new Blobs(ledger);
  blobs.keep([blob(1), blob(2), blob(3)]);
  expect(ledger.held).toBe(30);
  blobs.keep([blob(1), blob(4)]);
  expect(ledger.held).toBe(30);
  expect(() => blobs.assertPresent(digests(blob(1), blob(3), blob(4)), "run")).not.toThrow();
  expect(() => blobs.assertPresent(digests(blob(1), blob(2)), "merge trial 5")).toThrow(
    /^Cannot merge trial 5: 1 of the 2 batches and graphs .* holds 30 B of batches and graphs and may hold 30 B$/,
  );
});

test("what a trial uses stays, and there may be no room beside it", () => {
  const blobs = new Blobs(new Ledger(120));
  blobs.keep([blob(1), blob(2), blob(3)]);
  const used = blobs.use(digests(blob(1), blob(2), blob(3)), "run");
  expect(() => blobs.keep([blob(4)])).toThrow(/^Cannot keep 10 B of batches or graphs/);
  expect(used.get(digest(blob(2)))).toEqual(blob(2));
  used[Symbol.dispose]();
  blobs.keep([blob(4)]);
  expect(() => blobs.keep([blob(5, 31)])).toThrow(/^Cannot keep 31 B/);
});

test("what came in a larger message does not hold on to it", () => {
  const blobs = new Blobs(new Ledger(1_000));
  const message = blob(7, 200);
  const part = message.subarray(50, 60);
  blobs.keep([part]);
  expect(blobs.use(digests(part), "run").get(digest(part)).buffer.byteLength).toBe(10);
});
