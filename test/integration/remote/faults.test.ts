import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { AmalgamError } from "../../../shared/errors.js";
import { openRemoteStore } from "../../../shared/remote/open.js";
import type { Patience, RemoteFile, RemoteStore } from "../../../shared/remote/remote-store.js";
import { EndedTogether } from "../../support/remote/ended-together.js";
import { type Fault, type FaultyProxy, startFaultyProxy } from "../../support/remote/faulty-proxy.js";
import { startHub } from "../../support/remote/hub.js";
import { startStaticServer } from "../../support/remote/static-server.js";

const weights = randomBytes(1 << 20);
const files = { "config.json": "{}", "model.safetensors": weights };
const range = { offset: 1_000, length: 700_000 };
const patience: Partial<Patience> = { tries: 4, firstDelayMs: 1, maxDelayMs: 4, maxRetryAfterMs: 50 };
/** For servers that are silent. */
const impatient: Partial<Patience> = { ...patience, tries: 2, stallMs: 1_000 };

interface Setup {
  readonly store: RemoteStore;
  /** Found before anything fails. */
  readonly file: RemoteFile;
  /** In front of what has the weights. */
  readonly proxy: FaultyProxy;
}

/** Of the n-th request for bytes of the weights, once they are found. */
type Script = (n: number) => Fault | undefined;

async function setUp(kind: "https" | "hf", things: EndedTogether, script: Script, waiting = patience): Promise<Setup> {
  let reads = 0;
  let isOn = false;
  let target = "";
  if (kind === "https") {
    target = things.use(await startStaticServer({ "/m/config.json": "{}", "/m/model.safetensors": weights })).url;
  }
  const links = { url: "" };
  const hub = things.use(await startHub({ models: { "o/m": { files } }, cdnUrl: () => links.url }));
  const proxy = things.use(
    await startFaultyProxy(target || hub.cdnUrl, () => {
      reads += isOn ? 1 : 0;
      return isOn ? script(reads - 1) : undefined;
    }),
  );
  links.url = proxy.url;
  const store = things.close(openRemoteStore({ env: { HF_ENDPOINT: hub.url }, patience: waiting }));
  const model = await store.find(kind === "https" ? `${proxy.url}/m` : "hf://o/m");
  const file = model.files.get("model.safetensors");
  if (file === undefined) throw new Error("There are weights");
  isOn = true;
  return { store, file, proxy };
}

async function read({ store, file }: Setup): Promise<Buffer> {
  const chunks: Buffer[] = [];
  await store.read(file, range, (bytes) => chunks.push(Buffer.from(bytes)));
  return Buffer.concat(chunks);
}

function failureOf(reading: Promise<unknown>): Promise<AmalgamError> {
  return reading.then(
    () => {
      throw new Error("It did not fail");
    },
    (reason: unknown) => AmalgamError.from(reason),
  );
}

const once =
  (fault: Fault): Script =>
  (n) =>
    n === 0 ? fault : undefined;
const always =
  (fault: Fault): Script =>
  () =>
    fault;

const asked = weights.subarray(range.offset, range.offset + range.length);
const status = (code: number, headers = {}): Fault => ({ kind: "status", status: code, headers });
const wrongRange: Fault = { kind: "header", name: "content-range", value: "bytes 2000-701999/1048576" };

describe.each(["https", "hf"] as const)("%s", (kind) => {
  test.each<[string, Script, number]>([
    ["two answers with 500", (n) => (n < 2 ? status(500) : undefined), 3],
    ["503 that says when to come back", once(status(503, { "Retry-After": "0" })), 2],
    ["429 that wants more patience than there is", once(status(429, { "Retry-After": "86400" })), 2],
    ["a cut connection", once({ kind: "cut", afterBytes: 300_000 }), 2],
    ["a body that ends too early", once({ kind: "truncate", bytes: 300_000 }), 2],
    ["other bytes than were asked for", once(wrongRange), 2],
    ["no word on which bytes they are", once({ kind: "header", name: "content-range", value: "" }), 2],
    ["a compressed body", once({ kind: "gzip" }), 2],
    ["a web page", once({ kind: "body", content: "<html>", type: "text/html; charset=utf-8" }), 2],
  ])("goes on after %s", async (_, script, requests) => {
    await using things = new EndedTogether();
    const setup = await setUp(kind, things, script);
    const before = setup.proxy.requests.length;
    expect((await read(setup)).equals(asked)).toBe(true);
    expect(setup.proxy.requests.length - before).toBe(requests);
  });

  test.each<[string, Fault]>([
    ["no answer", { kind: "hang" }],
    ["a trickle", { kind: "slow", bytes: 100, everyMs: 20 }],
  ])("goes on after %s, and gives up after more of it", async (_, fault) => {
    await using things = new EndedTogether();
    const setup = await setUp(kind, things, once(fault), impatient);
    expect((await read(setup)).equals(asked)).toBe(true);
    const hopeless = await setUp(kind, things, always(fault), impatient);
    const failure = await failureOf(read(hopeless));
    expect(failure).toMatchObject({
      code: "source_failed",
      message: expect.stringMatching(/(?:silent for|bytes in) 1 s/),
    });
  });

  test("goes on where it was cut, however often, as long as it gets on", async () => {
    await using things = new EndedTogether();
    const setup = await setUp(kind, things, (n) => (n < 6 ? { kind: "truncate", bytes: 100_000 } : undefined));
    const before = setup.proxy.requests.length;
    expect((await read(setup)).equals(asked)).toBe(true);
    const ranges = setup.proxy.requests.slice(before).map((request) => request.range);
    expect(ranges).toEqual([0, 1, 2, 3, 4, 5, 6].map((n) => `bytes=${1_000 + n * 100_000}-700999`));
  });

  test.each<[string, Script, string, string]>([
    ["500 again and again", always(status(500)), "source_failed", "answers with 500, 4 times in a row"],
    ["a connection cut before anything came", always({ kind: "cut", afterBytes: 0 }), "source_failed", "4 times"],
    ["a few bytes each time", always({ kind: "truncate", bytes: 10 }), "source_failed", "was cut, 4 times"],
    ["other bytes", always(wrongRange), "source_failed", "sends other bytes than those at 1,000"],
    ["compression", always({ kind: "gzip" }), "source_failed", "compresses"],
    ["the whole file", always({ kind: "whole" }), "source_refused", "amalgam download"],
    ["a web page", always({ kind: "body", content: "<html>", type: "text/html" }), "source_failed", "a web page"],
    [
      "another size",
      once({ kind: "header", name: "content-range", value: "bytes 1000-700999/1048577" }),
      "checkpoint_changed",
      "its size is 1,048,577 now and was 1,048,576",
    ],
    ["416", once(status(416, { "Content-Range": "bytes */5" })), "checkpoint_changed", "its size is 5 now"],
    ["416 for bytes that there are", always(status(416)), "source_failed", "there are no such bytes, 4 times"],
    ["412", once(status(412, { ETag: '"other"' })), "checkpoint_changed", "other"],
  ])("fails, and says why, for %s", async (_, script, code, message) => {
    await using things = new EndedTogether();
    const setup = await setUp(kind, things, script);
    const failure = await failureOf(read(setup));
    expect(failure).toMatchObject({ code, message: expect.stringContaining(message) });
    expect(failure.message).toContain(setup.file.url);
    expect(inspect(failure)).not.toContain("Signature");
  });

  test("an ETag that changes between two requests ends the read", async () => {
    await using things = new EndedTogether();
    const setup = await setUp(kind, things, (n) =>
      n === 0
        ? { kind: "truncate", bytes: 100_000 }
        : n === 1
          ? { kind: "header", name: "etag", value: '"new"' }
          : undefined,
    );
    await expect(read(setup)).rejects.toMatchObject({
      code: "checkpoint_changed",
      message: expect.stringContaining('its ETag is "new" now'),
    });
  });

  test("a body without an end is cut, and little of it is taken", async () => {
    await using things = new EndedTogether();
    const setup = await setUp(kind, things, always({ kind: "endless" }));
    await expect(read(setup)).rejects.toMatchObject({
      code: "source_failed",
      message: expect.stringContaining("sends more than the 700,000 bytes"),
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    const sent = setup.proxy.sentBytes();
    // What fits into the sockets' own buffers.
    expect(sent).toBeLessThan(16 << 20);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(setup.proxy.sentBytes()).toBe(sent);
  });

  test("a reader's own failure ends the read, and is no server's", async () => {
    await using things = new EndedTogether();
    const setup = await setUp(kind, things, () => undefined);
    const before = setup.proxy.requests.length;
    const full = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    const reading = setup.store.read(setup.file, range, () => {
      throw full;
    });
    await expect(reading).rejects.toBe(full);
    expect(setup.proxy.requests.length - before).toBe(1);
  });

  test("closing the store ends what is being read", async () => {
    await using things = new EndedTogether();
    const setup = await setUp(kind, things, always({ kind: "hang" }), { tries: 8 });
    const before = setup.proxy.requests.length;
    const reading = failureOf(read(setup));
    while (setup.proxy.requests.length === before) await new Promise((resolve) => setTimeout(resolve, 5));
    await setup.store.close();
    expect(await reading).toMatchObject({ code: "canceled", message: expect.stringContaining(setup.file.url) });
    expect(setup.proxy.requests.length - before).toBe(1);
  });

  test("whoever gives up is not kept waiting, and gets nothing more", async () => {
    await using things = new EndedTogether();
    const setup = await setUp(kind, things, always({ kind: "slow", bytes: 1_000, everyMs: 5 }));
    const controller = new AbortController();
    let delivered = 0;
    const reading = setup.store.read(
      setup.file,
      range,
      (bytes) => {
        delivered += bytes.length;
        controller.abort();
      },
      controller.signal,
    );
    await expect(reading).rejects.toMatchObject({ code: "canceled" });
    const before = delivered;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(delivered).toBe(before);
    expect(delivered).toBeLessThan(range.length);
  });
});
