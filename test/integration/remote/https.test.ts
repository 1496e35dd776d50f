import { mkdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openRemoteStore } from "../../../shared/remote/open.js";
import type { RemoteModel } from "../../../shared/remote/remote-store.js";
import { withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import { startNginx, whyNoNginx } from "../../support/remote/nginx.js";
import { startStaticServer } from "../../support/remote/static-server.js";

const patience = { tries: 2, firstDelayMs: 1, maxDelayMs: 1 };
const tensor = { dtype: "F32", shape: [64], values: Array.from({ length: 64 }, (_, i) => i) } as const;

function openWith(env: Readonly<Record<string, string>> = {}) {
  const store = openRemoteStore({ env: { HOME: "/nonexistent", ...env }, patience });
  return { ...store, [Symbol.asyncDispose]: () => store.close() };
}

async function readAll(
  store: Pick<ReturnType<typeof openWith>, "read">,
  model: RemoteModel,
  name: string,
): Promise<Buffer> {
  const file = model.files.get(name);
  if (file === undefined) throw new Error(`There is no ${name}`);
  const chunks: Buffer[] = [];
  await store.read(file, { offset: 0, length: file.bytes }, (bytes) => chunks.push(Buffer.from(bytes)));
  return Buffer.concat(chunks);
}

const reason = whyNoNginx();

describe.skipIf(reason !== undefined)(
  `a folder on a real nginx${reason === undefined ? "" : `: skipped, ${reason}`}`,
  () => {
    test("is found by the usual names and its index, and read in ranges", async () => {
      await using folder = await withTempDir();
      await writeCheckpoint(
        join(folder.path, "a model"),
        { a: tensor, b: tensor, c: tensor },
        { shards: 3, config: { a: 1 } },
      );
      await writeFile(join(folder.path, "a model", "model-00009-of-00009.safetensors"), "stale");
      await using server = await startNginx({ root: folder.path });
      await using store = openWith();
      const model = await store.find(`${server.url}/a%20model/`);
      expect(model.url).toBe(`${server.url}/a%20model`);
      expect([...model.files.keys()].toSorted()).toEqual([
        "config.json",
        "model-00001-of-00003.safetensors",
        "model-00002-of-00003.safetensors",
        "model-00003-of-00003.safetensors",
        "model.safetensors.index.json",
      ]);
      const shard = model.files.get("model-00002-of-00003.safetensors");
      expect(shard?.version).toMatch(/^"[0-9a-f]+-[0-9a-f]+"$/);
      const before = (await server.requests()).length;
      expect((await readAll(store, model, "config.json")).toString()).toContain('"a": 1');
      expect((await readAll(store, model, "model-00002-of-00003.safetensors")).length).toBe(shard?.bytes);
      const asked = (await server.requests()).slice(before);
      expect(asked).toEqual([
        expect.stringMatching(/^GET \/a model\/config\.json bytes=0-\d+ 206$/),
        expect.stringMatching(/^GET \/a model\/model-00002-of-00003\.safetensors bytes=0-\d+ 206$/),
      ]);
    });

    test("stops a read when the file was changed", async () => {
      await using folder = await withTempDir();
      const path = join(folder.path, "m");
      await writeCheckpoint(path, { a: tensor });
      await using server = await startNginx({ root: folder.path });
      await using store = openWith();
      const model = await store.find(`${server.url}/m`);
      // Of the same size: its ETag alone tells the two apart.
      const bytes = model.files.get("model.safetensors")?.bytes ?? 0;
      await writeFile(join(path, "model.safetensors"), Buffer.alloc(bytes));
      await utimes(join(path, "model.safetensors"), 1_000_000, 1_000_000);
      await expect(readAll(store, model, "model.safetensors")).rejects.toMatchObject({
        code: "checkpoint_changed",
        message: expect.stringContaining(`${server.url}/m/model.safetensors`),
      });
    });

    test("that wants a login is read with the one in ~/.netrc, and says so without", async () => {
      await using folder = await withTempDir();
      const root = join(folder.path, "root");
      await writeCheckpoint(join(root, "m"), { a: tensor }, { config: {} });
      const netrc = join(folder.path, "netrc");
      await writeFile(netrc, "machine 127.0.0.1 login me password sesame\n");
      await writeFile(`${netrc}-wrong`, "default login me password guess\n");
      await using server = await startNginx({ root, login: { user: "me", password: "sesame" } });
      await using store = openWith({ NETRC: netrc });
      const model = await store.find(`${server.url}/m`);
      expect((await readAll(store, model, "config.json")).toString().trim()).toBe("{}");
      await using stranger = openWith();
      await expect(stranger.find(`${server.url}/m`)).rejects.toMatchObject({
        code: "source_refused",
        message: expect.stringContaining("write one for its host into ~/.netrc"),
      });
      await using guesser = openWith({ NETRC: `${netrc}-wrong` });
      await expect(guesser.find(`${server.url}/m`)).rejects.toMatchObject({
        message: expect.stringMatching(/refuses the login of ~\/\.netrc$/),
      });
    });

    test("without ranges is found, read as a whole, and not in parts", async () => {
      await using folder = await withTempDir();
      await mkdir(join(folder.path, "m"));
      const content = Buffer.alloc(200_000, "weights");
      await writeFile(join(folder.path, "m", "model.safetensors"), content);
      await writeFile(join(folder.path, "m", "config.json"), "{}");
      await using server = await startNginx({ root: folder.path, config: "max_ranges 0;" });
      await using store = openWith();
      const model = await store.find(`${server.url}/m`);
      const file = model.files.get("model.safetensors");
      expect(file).toMatchObject({ bytes: content.length, wholeOnly: true });
      expect((await readAll(store, model, "model.safetensors")).equals(content)).toBe(true);
      expect((await readAll(store, model, "config.json")).toString()).toBe("{}");
      if (file === undefined) throw new Error("It was found");
      await expect(store.read(file, { offset: 0, length: 8 }, () => undefined)).rejects.toMatchObject({
        code: "source_refused",
        message: expect.stringContaining('fetch the model with "amalgam download"'),
      });
    });
  },
);

test("one safetensors file is found by its name, with the small files beside it", async () => {
  await using server = await startStaticServer({
    "/m/lora-a.safetensors": "x".repeat(100),
    "/m/model.safetensors": "y".repeat(100),
    "/m/adapter_config.json": "{}",
  });
  await using store = openWith();
  const { url, files } = await store.find(`${server.url}/m/lora-a.safetensors`);
  expect(url).toBe(`${server.url}/m/lora-a.safetensors`);
  expect([...files.keys()]).toEqual(["lora-a.safetensors", "adapter_config.json"]);
});

describe("is refused, with what to do:", () => {
  const index = (shard: string): string => JSON.stringify({ metadata: {}, weight_map: { a: shard } });
  test.each<[string, Record<string, string>, string, string]>([
    ["a folder without weights", { "/m/config.json": "{}" }, "source_refused", "none of model.safetensors.index.json"],
    [
      "an index of shards that are missing",
      { "/m/model.safetensors.index.json": index("model-00001-of-00001.safetensors") },
      "checkpoint_malformed",
      '1 of the 1 files that its index names are missing: "model-00001-of-00001.safetensors"',
    ],
    [
      "an index that leads out of its folder",
      { "/m/model.safetensors.index.json": index("../../other/model.safetensors") },
      "path_refused",
      "its name is a path",
    ],
    [
      "an index that leads out of its folder by an escape",
      { "/m/model.safetensors.index.json": index("%2e%2e%2fother.safetensors") },
      "path_refused",
      "percent escape",
    ],
    [
      "an index that is none",
      { "/m/model.safetensors.index.json": "<html>" },
      "checkpoint_malformed",
      "Cannot read index",
    ],
  ])("%s", async (_, files, code, message) => {
    await using server = await startStaticServer(files);
    await using store = openWith();
    const finding = store.find(`${server.url}/m`);
    await expect(finding).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    expect(server.asked.filter(({ path }) => path.includes("other"))).toEqual([]);
  });

  test("a server that has a page for every address", async () => {
    await using server = await startStaticServer({}, (_, response) => {
      response.writeHead(200, { "Content-Type": "text/html" }).end("<html>Please log in</html>");
      return true;
    });
    await using store = openWith();
    await expect(store.find(`${server.url}/m`)).rejects.toMatchObject({
      code: "source_refused",
      message: expect.stringContaining("answers with a web page"),
    });
  });

  test("a server that has nothing, and takes its time to say so", async () => {
    await using server = await startStaticServer({}, (_, response) => {
      response.writeHead(404);
      const trickle = setInterval(() => response.write("."), 5);
      response.once("close", () => clearInterval(trickle));
      return true;
    });
    const store = openRemoteStore({ env: {}, patience: { ...patience, stallMs: 50 } });
    await expect(store.find(`${server.url}/m`)).rejects.toMatchObject({ code: "source_refused" });
    await store.close();
  });

  test.each(["https://me:hidden@host/m", "HTTPS://me:hidden@host/../m", "https://host/m?Signature=hidden"])(
    "an address with a secret, which is not shown: %s",
    async (url) => {
      await using store = openWith();
      const failure = await store.find(url).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: "source_refused" });
      expect(String(failure)).not.toContain("hidden");
    },
  );

  test("an address where nobody listens", async () => {
    const server = await startStaticServer({});
    await server[Symbol.asyncDispose]();
    await using store = openWith();
    await expect(store.find(`${server.url}/m`)).rejects.toMatchObject({
      code: "source_failed",
      message: expect.stringContaining("nothing listens at its address, 2 times in a row"),
    });
  });
});

describe("redirects", () => {
  test("are followed, and a login stays with the server that it is for", async () => {
    await using folder = await withTempDir();
    const netrc = join(folder.path, "netrc");
    await writeFile(netrc, "machine 127.0.0.1 login me password sesame\n");
    await using other = await startStaticServer({ "/real/model.safetensors": "weights" });
    await using server = await startStaticServer({}, ({ url = "" }, response) => {
      response.writeHead(302, { Location: `${other.url}${url.replace("/m/", "/real/")}` }).end();
      return true;
    });
    await using store = openWith({ NETRC: netrc });
    const model = await store.find(`${server.url}/m`);
    expect(model.files.get("model.safetensors")?.url).toBe(`${server.url}/m/model.safetensors`);
    expect((await readAll(store, model, "model.safetensors")).toString()).toBe("weights");
    expect(server.asked.every(({ authorization }) => authorization?.startsWith("Basic "))).toBe(true);
    expect(other.asked.every(({ authorization }) => authorization === undefined)).toBe(true);
  });

  test("that lead back do not bring the login back: whoever is in between names the address", async () => {
    await using folder = await withTempDir();
    const netrc = join(folder.path, "netrc");
    await writeFile(netrc, "machine 127.0.0.1 login me password sesame\n");
    const links = { home: "" };
    await using other = await startStaticServer({}, (_, response) => {
      response.writeHead(302, { Location: `${links.home}/private/model.safetensors` }).end();
      return true;
    });
    await using server = await startStaticServer({ "/private/model.safetensors": "x" }, ({ url = "" }, response) => {
      if (url !== "/m/model.safetensors") return false;
      response.writeHead(302, { Location: `${other.url}${url}` }).end();
      return true;
    });
    links.home = server.url;
    await using store = openWith({ NETRC: netrc });
    await store.find(`${server.url}/m`);
    const asked = server.asked.filter(({ path }) => path.startsWith("/private/"));
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.every(({ authorization }) => authorization === undefined)).toBe(true);
  });

  test.each([
    ["to itself again and again", "/m/again", "leads on more than 5 times"],
    ["to a server without TLS", "http://models.example/a?Signature=secret", '"http://models.example", which is not'],
    ["to a file", "file:///etc/passwd", "which is not"],
  ])("%s are refused", async (_, location, message) => {
    await using server = await startStaticServer({}, (_, response) => {
      response.writeHead(302, { Location: location }).end();
      return true;
    });
    await using store = openWith();
    const failure = await store.find(`${server.url}/m`).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "source_refused", message: expect.stringContaining(message) });
    expect(String(failure)).not.toContain("secret");
  });
});
