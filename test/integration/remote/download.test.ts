import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, readlink, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { placesFor } from "../../../shared/remote/download/places.js";
import { type DownloadProgress, downloadModel } from "../../../shared/remote/download.js";
import { findInHubCache } from "../../../shared/remote/hub/cache.js";
import { openRemoteStore } from "../../../shared/remote/open.js";
import type { RemoteModel, RemoteStore } from "../../../shared/remote/remote-store.js";
import { withTempDir } from "../../support/checkpoints.js";
import { amalgam, startAmalgam } from "../../support/command.js";
import { EndedTogether } from "../../support/remote/ended-together.js";
import {
  type Fault,
  type FaultyProxy,
  type ProxiedRequest,
  startFaultyProxy,
} from "../../support/remote/faulty-proxy.js";
import { type Hub, startHub } from "../../support/remote/hub.js";
import { startStaticServer } from "../../support/remote/static-server.js";

/** Three pieces. */
const large = randomBytes(250_000);
const pieceBytes = 100_000;
const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] as const;
const files = {
  "config.json": '{"model_type":"llama"}',
  "model.safetensors.index.json": JSON.stringify({ metadata: {}, weight_map: { a: shards[0], b: shards[1] } }),
  [shards[0]]: large,
  [shards[1]]: randomBytes(1_000),
};
const patience = { tries: 2, firstDelayMs: 1, maxDelayMs: 1 };

interface Setup {
  readonly hub: Hub;
  /** In front of the CDN. */
  readonly proxy: FaultyProxy;
  readonly store: RemoteStore;
  readonly env: Readonly<Record<string, string>>;
  /** `models--o--m` in the cache. */
  readonly cache: string;
}

async function setUp(
  things: EndedTogether,
  faultOf: (request: ProxiedRequest) => Fault | undefined = () => undefined,
): Promise<Setup> {
  const folder = things.use(await withTempDir());
  const links = { url: "" };
  const hub = things.use(await startHub({ models: { "o/m": { files } }, cdnUrl: () => links.url }));
  const proxy = things.use(await startFaultyProxy(hub.cdnUrl, faultOf));
  links.url = proxy.url;
  const env = { HOME: folder.path, HF_ENDPOINT: hub.url };
  const store = things.close(openRemoteStore({ env, patience }));
  return { hub, proxy, store, env, cache: join(folder.path, ".cache", "huggingface", "hub", "models--o--m") };
}

describe("a model of the Hub's", () => {
  test("lies in the cache as the Hub's own tools put it there, and is not downloaded twice", async () => {
    await using things = new EndedTogether();
    const { hub, store, env, cache } = await setUp(things);
    const seen: DownloadProgress[] = [];
    const model = await store.find("hf://o/m");
    const path = await downloadModel(store, model, {
      env,
      asked: "hf://o/m",
      onProgress: (progress) => seen.push(progress),
    });
    const commit = hub.commitOf("o/m");
    expect(path).toBe(join(cache, "snapshots", commit));
    expect(await readFile(join(cache, "refs", "main"), "utf8")).toBe(commit);
    for (const [name, content] of Object.entries(files)) {
      expect((await readFile(join(path, name))).equals(Buffer.from(content))).toBe(true);
      const { version } = model.files.get(name) ?? {};
      expect(await readlink(join(path, name))).toBe(`../../blobs/${version}`);
    }
    expect((await readdir(join(cache, "blobs"))).length).toBe(4);
    const bytes = Object.values(files).reduce((sum, content) => sum + content.length, 0);
    expect(seen.at(-1)).toEqual({ doneBytes: bytes, bytes, filesDone: 4, files: 4 });

    expect(await findInHubCache("hf://o/m", env)).toEqual({ directory: path, commit });
    const before = [hub.asked.length, hub.cdnAsked.length];
    expect(await downloadModel(store, model, { env, pieceBytes })).toBe(path);
    expect([hub.asked.length, hub.cdnAsked.length]).toEqual(before);
  });

  test("that another process downloads at the same time is waited for", async () => {
    await using things = new EndedTogether();
    const { hub, store, env, cache } = await setUp(things);
    const model = await store.find("hf://o/m");
    const [first, second] = await Promise.all([
      downloadModel(store, model, { env, pieceBytes }),
      downloadModel(store, model, { env, pieceBytes }),
    ]);
    expect(first).toBe(second);
    // Three pieces of the one, and the other.
    expect(hub.cdnAsked.length).toBe(4);
    expect((await readdir(join(cache, "blobs"))).length).toBe(4);
  });

  test("is gone on with where it ended", async () => {
    await using things = new EndedTogether();
    let isBroken = true;
    const { hub, store, env, cache, proxy } = await setUp(things, ({ range }) =>
      isBroken && range?.startsWith("bytes=200000-") ? { kind: "truncate", bytes: 0 } : undefined,
    );
    const model = await store.find("hf://o/m");
    await expect(downloadModel(store, model, { env, pieceBytes, asked: "hf://o/m" })).rejects.toMatchObject({
      code: "source_failed",
    });
    const digest = model.files.get(shards[0])?.version ?? "";
    expect((await stat(join(cache, "blobs", `${digest}.incomplete`))).size).toBe(2 * pieceBytes);
    expect(existsSync(join(cache, "refs"))).toBe(false);
    expect(await findInHubCache(model.url, env)).toBeUndefined();

    isBroken = false;
    const before = proxy.requests.length;
    const path = await downloadModel(store, model, { env, pieceBytes });
    expect((await readFile(join(path, shards[0]))).equals(large)).toBe(true);
    const again = proxy.requests.slice(before).filter(({ path: asked }) => asked.includes(digest));
    expect(again.map(({ range }) => range)).toEqual(["bytes=200000-249999"]);
    expect(hub.asked.every(({ hasToken }) => !hasToken)).toBe(true);
  });

  test("that a killed process began is gone on with, and nobody waits for the dead", async () => {
    await using things = new EndedTogether();
    let isBroken = true;
    const { hub, store, env, cache, proxy } = await setUp(things, ({ range }) =>
      isBroken && range?.startsWith("bytes=8388608-") ? { kind: "hang" } : undefined,
    );
    // Two pieces of the size that the command has.
    const content = randomBytes(9 << 20);
    hub.push("o/m", { ...files, [shards[0]]: content });
    const model = await store.find("hf://o/m");
    const words = Object.entries({ ...env, HF_HOME: "", HF_HUB_OFFLINE: "", XDG_CACHE_HOME: "" }).map(
      ([name, value]) => `${name}=${value}`,
    );
    await using command = startAmalgam(["download", "o/m"], { prefix: ["env", ...words] });
    const digest = model.files.get(shards[0])?.version ?? "";
    const begun = join(cache, "blobs", `${digest}.incomplete`);
    while ((await stat(begun).catch(() => undefined))?.size !== 8 << 20) await wait(20);
    await command.kill("SIGKILL");

    isBroken = false;
    const before = proxy.requests.length;
    const path = await downloadModel(store, model, { env });
    expect((await readFile(join(path, shards[0]))).equals(content)).toBe(true);
    const again = proxy.requests.slice(before).filter(({ path: asked }) => asked.includes(digest));
    expect(again.map(({ range }) => range)).toEqual([`bytes=${8 << 20}-${content.length - 1}`]);
  });

  test("of which something else was begun is downloaded anew", async () => {
    await using things = new EndedTogether();
    const { store, env, cache } = await setUp(things);
    const model = await store.find("hf://o/m");
    const digest = model.files.get(shards[0])?.version ?? "";
    await mkdir(join(cache, "blobs"), { recursive: true });
    await writeFile(join(cache, "blobs", `${digest}.incomplete`), randomBytes(5_000));
    const progress: DownloadProgress[] = [];
    const path = await downloadModel(store, model, { env, pieceBytes, onProgress: (seen) => progress.push(seen) });
    expect((await readFile(join(path, shards[0]))).equals(large)).toBe(true);
    expect(progress.at(-1)?.doneBytes).toBe(progress.at(-1)?.bytes);
  });

  test.each([shards[0], "config.json"])("whose %s comes with a bit that is another is refused", async (name) => {
    await using things = new EndedTogether();
    const isOf = (suffix: string) => name.endsWith(suffix);
    const { hub, env, cache } = await setUp(things, ({ range }) =>
      isOf("safetensors") && range?.startsWith("bytes=100000-") ? { kind: "flip" } : undefined,
    );
    const proxy = things.use(
      await startFaultyProxy(hub.url, ({ path }) =>
        isOf("json") && path.endsWith(name) ? { kind: "flip" } : undefined,
      ),
    );
    const store = things.close(openRemoteStore({ env: { ...env, HF_ENDPOINT: proxy.url }, patience }));
    const model = await store.find("hf://o/m");
    await expect(downloadModel(store, model, { env, pieceBytes })).rejects.toMatchObject({
      code: "chunk_corrupt",
      message: expect.stringContaining(`${name}": `),
    });
    const digest = model.files.get(name)?.version ?? "";
    expect((await readdir(join(cache, "blobs"))).filter((entry) => entry.startsWith(digest))).toEqual([]);
    expect(await findInHubCache(model.url, env)).toBeUndefined();
  });

  test("is not touched when it is all there: a cache may be read-only", async () => {
    await using things = new EndedTogether();
    const { store, env, cache } = await setUp(things);
    const model = await store.find("hf://o/m");
    await downloadModel(store, model, { env, asked: "hf://o/m" });
    await rm(join(cache, "..", ".locks"), { recursive: true });
    const before = await stat(join(cache, "refs", "main"), { bigint: true });
    await downloadModel(store, model, { env, asked: "hf://o/m" });
    expect(existsSync(join(cache, "..", ".locks"))).toBe(false);
    expect((await stat(join(cache, "refs", "main"), { bigint: true })).ino).toBe(before.ino);
  });

  test("is not taken from a cache that misses a part of it", async () => {
    await using things = new EndedTogether();
    const { store, env } = await setUp(things);
    const model = await store.find("hf://o/m");
    const path = await downloadModel(store, model, { env, pieceBytes });
    expect((await findInHubCache(model.url, env))?.directory).toBe(path);
    // No branch was asked for, so none is remembered.
    expect(await findInHubCache("hf://o/m@main", env)).toBeUndefined();
    await rm(join(path, shards[1]));
    expect(await findInHubCache(model.url, env)).toBeUndefined();
    // As the Hub's tools leave it when they are interrupted: the first shard alone looks like a model of one file.
    await rm(join(path, "model.safetensors.index.json"));
    expect(await findInHubCache(model.url, env)).toBeUndefined();
  });
});

describe("a model of a web server's", () => {
  test("lies in a folder for each state that it had", async () => {
    await using folder = await withTempDir();
    const env = { XDG_CACHE_HOME: folder.path };
    await using things = new EndedTogether();
    const store = things.close(openRemoteStore({ env, patience }));
    const paths: string[] = [];
    for (const content of ["first", "other"]) {
      const server = things.use(
        await startStaticServer({ "/a b/model.safetensors": content, "/a b/config.json": "{}" }),
      );
      const path = await downloadModel(store, await store.find(`${server.url}/a%20b`), { env, pieceBytes });
      expect(await readFile(join(path, "model.safetensors"), "utf8")).toBe(content);
      expect(path.startsWith(join(folder.path, "amalgam", "models", "127.0.0.1_"))).toBe(true);
      paths.push(path);
    }
    expect(paths[0]).not.toBe(paths[1]);
  });

  test("of which nobody can say whether it was changed is downloaded anew", async () => {
    await using folder = await withTempDir();
    const env = { XDG_CACHE_HOME: folder.path };
    await using things = new EndedTogether();
    let content = Buffer.from("first");
    const server = things.use(
      await startStaticServer({}, ({ url = "", headers }, response) => {
        const isThere = url.endsWith("model.safetensors");
        if (!isThere) response.writeHead(404).end();
        else if (headers.range === "bytes=0-0") response.writeHead(206, { "Content-Range": "bytes 0-0/5" }).end("x");
        else response.writeHead(206, { "Content-Range": "bytes 0-4/5" }).end(content);
        return true;
      }),
    );
    const store = things.close(openRemoteStore({ env, patience }));
    const fetched = async (): Promise<string> =>
      readFile(
        join(await downloadModel(store, await store.find(`${server.url}/m`), { env }), "model.safetensors"),
        "utf8",
      );
    expect(await fetched()).toBe("first");
    content = Buffer.from("other");
    expect(await fetched()).toBe("other");
  });

  test("that sends no ranges is downloaded from start to end, through a cut", async () => {
    await using folder = await withTempDir();
    const env = { XDG_CACHE_HOME: folder.path };
    await using things = new EndedTogether();
    const server = things.use(await startStaticServer({ "/m/model.safetensors": large, "/m/config.json": "{}" }));
    let cuts = 0;
    const proxy = things.use(
      await startFaultyProxy(server.url, ({ path, range }) => {
        const isWeights = path.endsWith("model.safetensors") && range !== "bytes=0-0";
        cuts += isWeights ? 1 : 0;
        return isWeights && cuts === 1 ? { kind: "cut", afterBytes: 100_000 } : { kind: "whole" };
      }),
    );
    const store = things.close(openRemoteStore({ env, patience }));
    const path = await downloadModel(store, await store.find(`${proxy.url}/m`), { env, pieceBytes });
    expect((await readFile(join(path, "model.safetensors"))).equals(large)).toBe(true);
    expect(cuts).toBe(2);
  });
});

test("a disk that is too small is found before anything is asked for or written", async () => {
  await using folder = await withTempDir();
  const url = `hf://o/m@${"0".repeat(40)}`;
  const file = { url: `${url}/model.safetensors`, bytes: 1e15, version: "0".repeat(64) };
  const model: RemoteModel = { url, files: new Map([["model.safetensors", file]]) };
  const store = { read: () => Promise.reject(new Error("Nothing was to be read")) } as unknown as RemoteStore;
  await expect(downloadModel(store, model, { env: { HOME: folder.path } })).rejects.toMatchObject({
    code: "out_of_space",
    message: expect.stringMatching(/it needs 1\.00 PB more, and .* free$/),
  });
  expect(await readdir(folder.path)).toEqual([]);
});

test.each([
  ["s3://my-bucket/100%", "100%", "my-bucket/100%"],
  ["https://host/a%20b", "model.safetensors", "host/a%20b"],
  [`https://host/${encodeURIComponent("模".repeat(80))}`, "config.json", "host/[0-9a-f]{64}"],
])("a folder may be called as in %s", (url, name, folder) => {
  const file = { url: `${url}/x`, bytes: 1, version: "v" };
  const { files } = placesFor({ url, files: new Map([[name, file]]) }, url, { XDG_CACHE_HOME: "/cache" });
  expect(files[0]?.path).toMatch(new RegExp(`^/cache/amalgam/models/${folder}/[0-9a-f]{16}/${name}$`));
});

test("names that some disks do not tell apart are refused", async () => {
  const url = `hf://o/m@${"0".repeat(40)}`;
  const names = ["A.safetensors", "a.safetensors"];
  const files = new Map(names.map((name) => [name, { url: `${url}/${name}`, bytes: 1, version: "0".repeat(40) }]));
  await expect(downloadModel({} as RemoteStore, { url, files })).rejects.toMatchObject({
    code: "path_refused",
    message: expect.stringContaining('"A.safetensors" and "a.safetensors" are one file'),
  });
});

test("a name that leads out of the cache is refused", async () => {
  const url = `hf://o/m@${"0".repeat(40)}`;
  const model: RemoteModel = {
    url,
    files: new Map([["../../x", { url: `${url}/x`, bytes: 1, version: "0".repeat(40) }]]),
  };
  await expect(downloadModel({} as RemoteStore, model)).rejects.toMatchObject({ code: "path_refused" });
});

describe("amalgam download", () => {
  test("prints the folder of each model, and events for machines", async () => {
    await using things = new EndedTogether();
    const { env, cache, hub } = await setUp(things);
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    for (const name of ["HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN", "XDG_CACHE_HOME"])
      vi.stubEnv(name, "");
    const path = join(cache, "snapshots", hub.commitOf("o/m"));
    expect(await amalgam("download", "o/m", "hf://o/m@main")).toMatchObject({ code: 0, stdout: `${path}\n${path}\n` });
    const { stdout } = await amalgam("download", "o/m", "--json");
    expect(JSON.parse(stdout.trim().split("\n").at(-1) ?? "")).toEqual({ event: "downloaded", model: "o/m", path });

    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect(await amalgam("download", "o/m")).toMatchObject({ code: 0, stdout: `${path}\n` });
    expect(await amalgam("download", "o/n")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("HF_HUB_OFFLINE"),
    });
    vi.unstubAllEnvs();
  });

  test("says what a model is named like", async () => {
    expect(await amalgam("download", "./folder")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Cannot download "./folder": name a model as "owner/name[@revision]"'),
    });
  });
});
