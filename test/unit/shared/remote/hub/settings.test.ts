import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { hubCacheDirectory, hubEndpoint, hubToken, isOffline } from "../../../../../shared/remote/hub/settings.js";
import { withTempDir } from "../../../../support/checkpoints.js";

test.each([
  [{}, "https://huggingface.co"],
  [{ HF_ENDPOINT: "https://hub.example/api/hf/" }, "https://hub.example/api/hf"],
  [{ HF_ENDPOINT: "http://127.0.0.1:8080" }, "http://127.0.0.1:8080"],
])("%j means the Hub at %s", (env, expected) => {
  expect(hubEndpoint(env)).toBe(expected);
});

test.each(["http://hub.example", "hub.example", "https://user:password@hub.example", "https://hub.example?token=x"])(
  "the endpoint %s is refused, without its secrets",
  (endpoint) => {
    expect(() => hubEndpoint({ HF_ENDPOINT: endpoint })).toThrow(/Cannot use HF_ENDPOINT/);
    expect(() => hubEndpoint({ HF_ENDPOINT: endpoint })).not.toThrow(/password|token=/);
  },
);

test.each([
  [{ HOME: "/home/me" }, "/home/me/.cache/huggingface/hub"],
  [{ HOME: "/home/me", XDG_CACHE_HOME: "/cache" }, "/cache/huggingface/hub"],
  [{ HOME: "/home/me", HF_HOME: "~/hf" }, "/home/me/hf/hub"],
  [{ HOME: "/home/me", HF_HOME: "/hf", HF_HUB_CACHE: "/models" }, "/models"],
  [{ HF_HUB_CACHE: "models" }, join(process.cwd(), "models")],
])("with %j the cache is in %s", (env, expected) => {
  expect(hubCacheDirectory(env)).toBe(expected);
});

test.each([
  ["1", true],
  ["true", true],
  ["0", false],
  ["", false],
  [undefined, false],
])("HF_HUB_OFFLINE=%s: %s", (value, expected) => {
  expect(isOffline({ HF_HUB_OFFLINE: value })).toBe(expected);
});

test("what keeps transformers offline keeps the Hub's tools offline, too", () => {
  expect(isOffline({ TRANSFORMERS_OFFLINE: "1" })).toBe(true);
});

describe("the token", () => {
  test("is taken from the first place that has one", async () => {
    await using folder = await withTempDir();
    const path = join(folder.path, "token");
    await writeFile(path, "hf_stored\n");
    const all = { HF_TOKEN: "hf_first", HUGGING_FACE_HUB_TOKEN: "hf_second", HF_HOME: folder.path };
    expect(await hubToken(all)).toEqual({ text: "hf_first", place: "HF_TOKEN" });
    expect(await hubToken({ ...all, HF_TOKEN: "" })).toMatchObject({ text: "hf_second" });
    expect(await hubToken({ HF_HOME: folder.path })).toMatchObject({ text: "hf_stored" });
    expect(await hubToken({ HF_HOME: "/nonexistent", HF_TOKEN_PATH: path })).toMatchObject({ text: "hf_stored" });
    expect(await hubToken({ HOME: folder.path, HF_TOKEN_PATH: "~/token" })).toMatchObject({ text: "hf_stored" });
    expect(await hubToken({ HF_HOME: folder.path, HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" })).toBeUndefined();
    expect(await hubToken({ HF_HOME: "/nonexistent" })).toBeUndefined();
  });

  test("that could end a header's line is refused and not shown", async () => {
    const refused = hubToken({ HF_TOKEN: "hf_a\r\nX-Evil: 1" });
    await expect(refused).rejects.toMatchObject({ code: "usage", message: expect.not.stringContaining("hf_a") });
  });
});
