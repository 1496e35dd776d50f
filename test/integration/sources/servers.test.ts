import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { cp, mkdir, readdir, stat, utimes, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { JobEvent } from "../../../coordinator/job.js";
import { runAgent } from "../../../node-agent/main.js";
import { formatHeader } from "../../../shared/checkpoint/header.js";
import { amalgam } from "../../support/command.js";
import type { MergeVariation } from "../../support/merges.js";
import { whyNoNginx } from "../../support/remote/nginx.js";
import { failureOf, serveFamily } from "../../support/remote-family.js";

// Models on web servers: planned from their headers, merged by ranges, never stored.

let family: Awaited<ReturnType<typeof serveFamily>>;

beforeAll(async () => {
  if (whyNoNginx() === undefined) family = await serveFamily();
});

afterAll(async () => {
  await family?.[Symbol.asyncDispose]();
});

const served = test.skipIf(whyNoNginx() !== undefined);

served.for<[string, MergeVariation]>([
  ["dare_ties", { agents: 1 }],
  ["lora", { agents: 3, assembly: "stream", unitBytes: 100_000 }],
])("%s over a web server gives the bytes of the folder, and stores no input", async ([name, variation]) => {
  const { work, recipe, merge } = await family.workplace();
  expect(await merge(await recipe(name), "out", variation)).toBe(await family.golden(name));
  expect((await readdir(work)).sort()).toEqual(["out", "recipe.yaml"]);
});

served("a server that fails and cuts connections costs time and no byte", async () => {
  const { recipe, merge } = await family.workplace();
  let faults = 0;
  family.setFault((count) => {
    if (count % 4 !== 0) return undefined;
    faults += 1;
    return faults % 2 === 0 ? { kind: "status", status: 500 } : { kind: "cut", afterBytes: 10_000 };
  });
  const merged = await merge(await recipe("passthrough"), "out", { unitBytes: 50_000 });
  expect(merged).toBe(await family.golden("passthrough"));
  expect(faults).toBeGreaterThan(1);
});

served("planning reads headers and no weights, and says where models are from", async () => {
  const { work, recipe } = await family.workplace();
  for (const model of ["math", "code"]) await writeZeros(join(family.models, `large-${model}`), 60e6);
  const file = await recipe("nuslerp", (model) => `${family.url}/large-${model}`);
  const before = family.proxy.sentBytes();
  const { code, stdout, stderr } = await amalgam("plan", file, "--json");
  expect([code, stderr]).toEqual([0, ""]);
  const origins = ["math", "code"].map((model) => ({ origin: `${family.url}/large-${model}` }));
  expect(JSON.parse(stdout)).toMatchObject({ models: origins });
  expect(family.proxy.sentBytes() - before).toBeLessThan(1e6);
  expect(await readdir(work)).toEqual(["recipe.yaml"]);
});

served("a file that becomes another one during a merge ends it by name, and nothing looks like a model", async () => {
  const { work, recipe, merge } = await family.workplace();
  const change = (): void => family.setFault(() => ({ kind: "header", name: "ETag", value: '"another"' }));
  const failure = await failureOf(
    merge(await recipe("passthrough"), "out", { unitBytes: 50_000, onEvent: afterUnits(2, change) }),
  );
  expect(failure.code).toBe("checkpoint_changed");
  expect(failure.message).toContain(`${family.url}/math/model-0000`);
  expect(failure.message).toContain("another");
  expect(await readdir(work)).not.toContain("out");
});

served("where a server has no names for states, the header tells that a file became another one", async () => {
  const models = join(family.models, "..", "nameless");
  await cp(family.models, models, { recursive: true });
  await using nameless = await serveFamily({ isNameless: true, models });
  const { recipe, merge } = await nameless.workplace();
  const file = await recipe("passthrough");
  expect(await merge(file, "good")).toBe(await family.golden("passthrough"));
  const name = "model-00001-of-00003.safetensors";
  const onEvent = ({ type }: JobEvent): void => {
    if (type === "planned") renameTensors(join(models, "math", name));
  };
  const failure = await failureOf(merge(file, "bad", { onEvent }));
  expect([failure.code, failure.message]).toEqual(["checkpoint_changed", expect.stringContaining(name)]);
});

served(
  "a merge that was interrupted goes on with the models that it began with, or says which are others",
  async () => {
    const { work, recipe, merge } = await family.workplace();
    await cp(join(family.models, "math"), join(family.models, "own"), { recursive: true });
    const file = await recipe("passthrough", () => `${family.url}/own`);
    const controller = new AbortController();
    const interrupted = { signal: controller.signal, onEvent: afterUnits(3, () => controller.abort()) };
    expect((await failureOf(merge(file, "out", { unitBytes: 50_000, ...interrupted }))).code).toBe("canceled");

    const path = join(family.models, "own", "model-00002-of-00003.safetensors");
    const { mtime } = await stat(path);
    const later = new Date(mtime.getTime() + 60_000);
    await utimes(path, later, later);
    const failure = await failureOf(merge(file, "out"));
    expect([failure.code, failure.message]).toEqual(["checkpoint_changed", expect.stringContaining(basename(path))]);
    expect(failure.message).toContain("--overwrite");

    await utimes(path, mtime, mtime);
    let keptPieces = 0;
    const onEvent = (event: JobEvent): void => {
      if (event.type === "resumed") keptPieces = event.resumed.keptPieces;
    };
    expect(await merge(file, "out", { onEvent })).toBe(await family.golden("passthrough"));
    expect(keptPieces).toBeGreaterThan(0);
    expect((await readdir(work)).sort()).toEqual(["out", "recipe.yaml"]);
  },
);

served("agents read from servers below their roots, and from no other", async () => {
  const { work, recipe, merge } = await family.workplace();
  const file = await recipe("passthrough");
  const start = (name: string, ...urls: readonly string[]) => {
    return runAgent({ name, roots: [work, ...urls], slots: 1, providers: [] });
  };
  await using closed = await start("closed", `${family.url}/chat`, `${family.url}/mathematics`);
  const failure = await failureOf(merge(file, "out", { addresses: [closed.address] }));
  expect(failure.message).toMatch(/"closed".+it may not read ".+\/math\/model-00001.+--root/);
  await using open = await start("open", `${family.url}/math`);
  const merged = await merge(file, "out", { addresses: [closed.address, open.address] });
  expect(merged).toBe(await family.golden("passthrough"));
});

/** Calls `then` once, when so many units have finished. */
function afterUnits(count: number, then: () => void): (event: JobEvent) => void {
  let finished = 0;
  return (event) => {
    if (event.type !== "dispatch" || event.event.type !== "finished") return;
    finished += 1;
    if (finished === count) then();
  };
}

/** A checkpoint of one tensor, all zeros, which takes no space. */
async function writeZeros(folder: string, bytes: number): Promise<void> {
  await mkdir(folder);
  const header = formatHeader([{ name: "weight", dtype: "F32", shape: [bytes / 4] }], new Map());
  const file = openSync(join(folder, "model.safetensors"), "w");
  writeSync(file, header);
  writeSync(file, Buffer.alloc(1), 0, 1, header.length + bytes - 1);
  closeSync(file);
  await writeFile(join(folder, "config.json"), JSON.stringify({ model_type: "test" }));
}

/** Another header of the same size. */
function renameTensors(path: string): void {
  const file = openSync(path, "r+");
  const header = Buffer.alloc(4096);
  readSync(file, header, 0, header.length, 0);
  const at = header.indexOf("position_ids");
  writeSync(file, Buffer.from("POSITION"), 0, 8, at);
  closeSync(file);
}
