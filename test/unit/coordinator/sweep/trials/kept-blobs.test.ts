import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { type Blob, HeldBytes, maxBlobBytes } from "../../../../../coordinator/sweep/trials/blobs.js";
import { KeptBlobs } from "../../../../../coordinator/sweep/trials/kept-blobs.js";
import { AmalgamError } from "../../../../../shared/errors.js";

const leadership = { job: "sweep", fence: 0n };
const { signal } = new AbortController();

function blob(text: string, bytes = text.length): Blob {
  const content = Buffer.from(text);
  return { bytes, digest: createHash("sha256").update(content).digest(), read: async () => content };
}

/** An agent that fails with each of `failures` before it takes anything. */
function agent(...failures: readonly AmalgamError[]) {
  const calls: string[][] = [];
  const left = [...failures];
  const keep = async ({ blobs = [] }: { blobs?: Uint8Array[] }) => {
    const failure = left.shift();
    if (failure !== undefined) throw failure;
    calls.push(blobs.map((bytes) => Buffer.from(bytes).toString()));
    return { $typeName: "amalgam.v1.KeepResponse" as const };
  };
  return { calls, kept: new KeptBlobs({ keep }, leadership, signal) };
}

test("trials that want the same blobs have them sent once, until the agent is heard to have forgotten", async () => {
  const { kept, calls } = agent();
  await Promise.all([kept.give([blob("a"), blob("b")], signal), kept.give([blob("b"), blob("c")], signal)]);
  await kept.give([blob("c"), blob("a")], signal);
  expect(calls.flat().toSorted()).toEqual(["a", "b", "c"]);
  kept.forget();
  await kept.give([blob("a")], signal);
  expect(calls.at(-1)).toEqual(["a"]);
});

test("what takes several messages is sent once too, whoever else wants it meanwhile", async () => {
  const { kept, calls } = agent();
  const large = ["a", "b", "c"].map((text) => blob(text, maxBlobBytes));
  await Promise.all([kept.give(large, signal), kept.give(large, signal)]);
  expect(calls.flat().toSorted()).toEqual(["a", "b", "c"]);
});

test("as many are sent at once as a message holds", async () => {
  const { kept, calls } = agent();
  const half = maxBlobBytes / 2;
  await kept.give([blob("a", half), blob("b", half), blob("c", 1), blob("d", maxBlobBytes)], signal);
  expect(calls).toEqual([["a", "b"], ["c"], ["d"]]);
});

test("what could not be sent is sent again by who wants it next", async () => {
  const { kept, calls } = agent(new AmalgamError("agent_lost", "gone"));
  await expect(kept.give([blob("a")], signal)).rejects.toThrow("gone");
  await kept.give([blob("a")], signal);
  expect(calls).toEqual([["a"]]);
});

test("what an agent does not take in ends with the sweep, not when the call is over", async () => {
  const ending = new AbortController();
  let begin = (): void => undefined;
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const keep = (_: unknown, call?: { readonly signal?: AbortSignal | undefined }): Promise<never> =>
    new Promise((_, reject) => {
      call?.signal?.addEventListener("abort", () => reject(ending.signal.reason));
      begin();
    });
  const given = new KeptBlobs({ keep }, leadership, ending.signal).give([blob("a")], signal);
  await begun;
  ending.abort(new AmalgamError("canceled", "The sweep has ended"));
  await expect(given).rejects.toThrow("The sweep has ended");
});

test("memory that other trials use is waited for; what an agent never has is not", async () => {
  const full = (needed: number, allowed: number): AmalgamError =>
    new AmalgamError("out_of_memory", "no room", { details: { needed: String(needed), allowed: String(allowed) } });
  const { kept, calls } = agent(full(5, 10), full(5, 10));
  await kept.give([blob("a")], signal);
  expect(calls).toEqual([["a"]]);
  await expect(agent(full(20, 10)).kept.give([blob("a")], signal)).rejects.toThrow("no room");
});

test("bytes that are held are bounded, and those used last stay", () => {
  const held = new HeldBytes(10);
  held.add("a", new Uint8Array(4));
  held.add("b", new Uint8Array(4));
  held.get("a");
  held.add("c", new Uint8Array(4));
  expect(["a", "b", "c"].map((key) => held.get(key)?.length)).toEqual([4, undefined, 4]);
});
