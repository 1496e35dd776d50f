import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { openRemoteStore } from "../../../shared/remote/open.js";
import type { RemoteFile, RemoteStore } from "../../../shared/remote/remote-store.js";
import { withTempDir } from "../../support/checkpoints.js";
import { type Fault, startFaultyProxy } from "../../support/remote/faulty-proxy.js";
import { type Hub, startHub } from "../../support/remote/hub.js";

const weights = randomBytes(200_000);
const files = {
  "README.md": "# A model",
  "config.json": "{}",
  "model.safetensors": weights,
  "pytorch_model.bin": "pickle",
  "adapter/adapter_config.json": "{}",
  "adapter/adapter_model.safetensors": weights.subarray(0, 1_000),
};
const patience = { tries: 3, firstDelayMs: 1, maxDelayMs: 2 };
const token = "hf_secretsecretsecret";

function openWith(env: Readonly<Record<string, string>>) {
  const store = openRemoteStore({ env: { HOME: "/nonexistent", ...env }, patience });
  return { ...store, [Symbol.asyncDispose]: () => store.close() };
}

function fileOf(files: ReadonlyMap<string, RemoteFile>, name: string): RemoteFile {
  const file = files.get(name);
  if (file === undefined) throw new Error(`There is no ${name}`);
  return file;
}

async function read(
  store: Pick<RemoteStore, "read">,
  file: RemoteFile,
  offset: number,
  length: number,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  await store.read(file, { offset, length }, (bytes) => chunks.push(Buffer.from(bytes)));
  return Buffer.concat(chunks);
}

test("a branch is pinned to its commit, and what is pushed later is not seen", async () => {
  await using hub = await startHub({ models: { "o/m": { files, license: "apache-2.0" } } });
  await using store = openWith({ HF_ENDPOINT: hub.url });
  const model = await store.find("hf://o/m");
  const commit = hub.commitOf("o/m");
  expect(model.url).toBe(`hf://o/m@${commit}`);
  expect(model.license).toBe("apache-2.0");
  expect([...model.files.keys()]).toEqual(expect.arrayContaining(["config.json", "model.safetensors"]));
  expect([...model.files.keys()].filter((name) => /bin|adapter/.test(name))).toEqual([]);
  hub.push("o/m", { ...files, "model.safetensors": randomBytes(200_000) });
  const file = fileOf(model.files, "model.safetensors");
  expect(file.url).toBe(`hf://o/m@${commit}/model.safetensors`);
  expect((await read(store, file, 100, 1_000)).equals(weights.subarray(100, 1_100))).toBe(true);
  expect((await store.find("hf://o/m")).url).not.toBe(model.url);
  expect((await store.find(model.url)).files.get("model.safetensors")).toEqual(file);
});

test("a folder in a model, or one file of it, is a model of its own", async () => {
  await using hub = await startHub({ models: { "o/m": { files } } });
  await using store = openWith({ HF_ENDPOINT: hub.url });
  const folder = await store.find("hf://o/m@main/adapter");
  expect(folder.url).toBe(`hf://o/m@${hub.commitOf("o/m")}/adapter`);
  expect([...folder.files.keys()].toSorted()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
  const file = await store.find("hf://o/m/adapter/adapter_model.safetensors");
  expect([...file.files.keys()].toSorted()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
  expect((await read(store, fileOf(file.files, "adapter_model.safetensors"), 0, 1_000)).length).toBe(1_000);
});

test("the Hub is asked once where a file is, however many read it, and again when the signature has expired", async () => {
  await using hub = await startHub({ models: { "o/m": { files } } });
  await using store = openWith({ HF_ENDPOINT: hub.url });
  const file = fileOf((await store.find("hf://o/m")).files, "model.safetensors");
  const before = hub.asked.length;
  await Promise.all([0, 1, 2, 3, 4].map((n) => read(store, file, n * 1_000, 1_000)));
  expect(hub.asked.slice(before).map(({ method }) => method)).toEqual(["HEAD"]);
  expect(hub.cdnAsked.length).toBe(5);
  hub.expireSignatures();
  expect((await read(store, file, 0, 10)).equals(weights.subarray(0, 10))).toBe(true);
  expect(hub.asked.length - before).toBe(2);
  // Refused, and then with the new signature.
  expect(hub.cdnAsked.length).toBe(7);
});

test("a signature that is about to expire is not used", async () => {
  await using hub = await startHub({ models: { "o/m": { files } }, signatureSeconds: 20 });
  await using store = openWith({ HF_ENDPOINT: hub.url });
  const file = fileOf((await store.find("hf://o/m")).files, "model.safetensors");
  const before = hub.asked.length;
  for (let i = 0; i < 3; i++) await read(store, file, 0, 10);
  expect(hub.asked.length - before).toBe(3);
  expect(hub.cdnAsked.length).toBe(3);
});

describe("the token", () => {
  test.each(["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])(
    "of %s opens gated and private models, and goes to the Hub alone",
    async (variable) => {
      const models = { "o/gated": { files, isGated: true }, "o/private": { files, isPrivate: true } };
      await using hub = await startHub({ models, tokens: [token] });
      await using store = openWith({ HF_ENDPOINT: hub.url, [variable]: token });
      for (const name of ["gated", "private"]) {
        const file = fileOf((await store.find(`hf://o/${name}`)).files, "model.safetensors");
        expect((await read(store, file, 0, 10)).length).toBe(10);
      }
      expect(hub.asked.every(({ hasToken }) => hasToken)).toBe(true);
      expect(hub.cdnAsked.length).toBeGreaterThan(0);
      expect(hub.cdnAsked.some(({ hasToken }) => hasToken)).toBe(false);
    },
  );

  test("that the Hub does not know is named, though the model is public, and never shown", async () => {
    await using hub = await startHub({ models: { "o/m": { files } } });
    await using store = openWith({ HF_ENDPOINT: hub.url, HF_TOKEN: token });
    const failure = await store.find("hf://o/m").catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: "source_refused",
      message: expect.stringContaining("no such token as that of HF_TOKEN"),
    });
    expect(inspect(failure)).not.toContain(token);
  });

  test("in a file may be changed while a process runs", async () => {
    await using folder = await withTempDir();
    const path = join(folder.path, "token");
    await writeFile(path, "hf_expired");
    await using hub = await startHub({ models: { "o/m": { files } }, tokens: [token] });
    await using store = openWith({ HF_ENDPOINT: hub.url, HF_TOKEN_PATH: path });
    await expect(store.find("hf://o/m")).rejects.toMatchObject({ message: expect.stringContaining(path) });
    await writeFile(path, token);
    expect((await store.find("hf://o/m")).url).toContain("hf://o/m@");
  });

  test("that is no token is refused before it is sent", async () => {
    await using hub = await startHub({ models: { "o/m": { files } } });
    await using store = openWith({ HF_ENDPOINT: hub.url, HF_TOKEN: "two words" });
    const failure = await store.find("hf://o/m").catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "usage", message: expect.stringContaining("HF_TOKEN") });
    expect(inspect(failure)).not.toContain("two words");
    expect(hub.asked).toEqual([]);
  });
});

describe("is refused, with what to do:", () => {
  const models = {
    "o/m": { files },
    "o/gated": { files, isGated: true },
    "o/private": { files, isPrivate: true },
    "o/pickles": { files: { "config.json": "{}", "pytorch_model.bin": "x" } },
  };
  test.each([
    ["hf://o/gated", 'is gated: accept its licence at "http'],
    ["hf://o/private", "check its name; if it is private, set HF_TOKEN"],
    ["hf://o/tpyo", "check its name"],
    ["hf://o/m@v9", 'has no revision "v9"'],
    ["hf://o/m/other.safetensors", "there is no such file"],
    ["hf://o/m/nowhere", "it has no safetensors files"],
    ["hf://o/pickles", "it has pickle files"],
  ])("%s", async (url, message) => {
    await using hub: Hub = await startHub({ models });
    await using store = openWith({ HF_ENDPOINT: hub.url });
    const finding = store.find(url).then(({ files }) => read(store, fileOf(files, "model.safetensors"), 0, 1));
    await expect(finding).rejects.toMatchObject({ code: "source_refused", message: expect.stringContaining(message) });
  });

  test("anything, when HF_HUB_OFFLINE is set", async () => {
    await using store = openWith({ HF_ENDPOINT: "http://127.0.0.1:9", HF_HUB_OFFLINE: "1" });
    await expect(store.find("hf://o/m")).rejects.toMatchObject({
      code: "source_refused",
      message: expect.stringContaining("HF_HUB_OFFLINE"),
    });
  });

  test("an HF_ENDPOINT without TLS", async () => {
    await using store = openWith({ HF_ENDPOINT: "http://hub.example" });
    await expect(store.find("hf://o/m")).rejects.toMatchObject({ code: "usage" });
  });
});

test("a mirror of the Hub that knows no HEAD is asked otherwise", async () => {
  await using hub = await startHub({ models: { "o/m": { files } } });
  await using proxy = await startFaultyProxy(hub.url, ({ method }) =>
    method === "HEAD" ? { kind: "status", status: 405 } : undefined,
  );
  await using store = openWith({ HF_ENDPOINT: proxy.url });
  const file = fileOf((await store.find("hf://o/m")).files, "model.safetensors");
  expect((await read(store, file, 0, 100)).equals(weights.subarray(0, 100))).toBe(true);
});

describe("a Hub that", () => {
  const header = (name: string, value: string): Fault => ({ kind: "header", name, value });
  test.each<[string, (path: string, n: number) => Fault | undefined, string | undefined, string]>([
    ["fails twice goes on", (_, n) => (n < 2 ? { kind: "status", status: 502 } : undefined), undefined, ""],
    ["fails is given up", () => ({ kind: "status", status: 503 }), "source_failed", "503, 3 times in a row"],
    [
      "answers with a page is none",
      () => ({ kind: "body", content: "<p>", type: "text/html" }),
      "source_failed",
      "no Hub",
    ],
    [
      "cuts its list short is asked again",
      (_, n) => (n === 0 ? { kind: "truncate", bytes: 20 } : undefined),
      undefined,
      "",
    ],
    [
      "forbids something says why",
      () => ({ kind: "status", status: 403, headers: { "X-Error-Message": "Enable access in your token's settings" } }),
      "source_refused",
      'and says: "Enable access in your token\'s settings"',
    ],
    [
      "lets its list trickle is given up",
      () => ({ kind: "slow", bytes: 1, everyMs: 20 }),
      "source_failed",
      "bytes in 0.3 s, 3 times in a row",
    ],
    [
      "has another digest for the file",
      (path) => (path.includes("resolve") ? header("x-linked-etag", `"${"0".repeat(64)}"`) : undefined),
      "checkpoint_changed",
      "its digest is 000",
    ],
    [
      "has another size for the file",
      (path) => (path.includes("resolve") ? header("x-linked-size", "5") : undefined),
      "checkpoint_changed",
      "its size is 5 now",
    ],
    [
      "has another commit for the file",
      (path) => (path.includes("resolve") ? header("x-repo-commit", "0".repeat(40)) : undefined),
      "checkpoint_changed",
      "its commit is 000",
    ],
    [
      "leads to a server without TLS",
      (path) => (path.includes("resolve") ? header("location", "http://cdn.example/a?Signature=s") : undefined),
      "source_refused",
      '"http://cdn.example", which is not',
    ],
  ])("%s", async (_, faultOf, code, message) => {
    await using hub = await startHub({ models: { "o/m": { files } } });
    await using proxy = await startFaultyProxy(hub.url, ({ path, index }) => faultOf(path, index));
    const store = openRemoteStore({ env: { HF_ENDPOINT: proxy.url }, patience: { ...patience, stallMs: 300 } });
    const reading = store
      .find("hf://o/m")
      .then((found) => read(store, fileOf(found.files, "model.safetensors"), 0, 100));
    if (code === undefined) expect((await reading).equals(weights.subarray(0, 100))).toBe(true);
    else await expect(reading).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    await store.close();
  });
});
