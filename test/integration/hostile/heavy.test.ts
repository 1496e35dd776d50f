import { execFile } from "node:child_process";
import { open, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { lengthBytes, maxHeaderBytes } from "../../../shared/checkpoint/header-limits.js";
import { indexFileName } from "../../../shared/checkpoint/index-json.js";
import { withTempDir } from "../../support/checkpoints.js";
import { repositoryPath } from "../../support/repository.js";

// What is large on purpose is refused before it costs anything, measured in a process of its own.

/** Node's own 50 MB included. A recipe's limit of 256 KiB of text is 250,000 tokens when they are all brackets. */
const maxRssBytes = { checkpoint: 200 << 20, recipe: 400 << 20 } as const;
/** Of the processor, which does not depend on what else runs here. */
const maxSeconds = 1;

const script = `
import { readFileSync } from "node:fs";
import { openCheckpoint } from "${repositoryPath("dist/shared/checkpoint/open.js")}";
import { readRecipe } from "${repositoryPath("dist/coordinator/recipe/read.js")}";
const [what, path] = process.argv.slice(-2);
const before = process.cpuUsage();
const error = await (what === "recipe" ? readRecipe(path) : openCheckpoint(path)).catch((reason) => reason);
const { user, system } = process.cpuUsage(before);
const seconds = (user + system) / 1e6;
// Not maxRSS, which a process inherits from the one that started it.
const rss = Number(/VmHWM:\\s+(\\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
console.log(JSON.stringify({ code: error.code ?? "opened", message: error.message ?? "", seconds, rss }));
`;

async function refusalOf(what: "checkpoint" | "recipe", path: string) {
  const words = ["--input-type=module", "-e", script, what, path];
  const { stdout } = await promisify(execFile)(process.execPath, words);
  return JSON.parse(stdout) as { code: string; message: string; seconds: number; rss: number };
}

/** A header of `bytes` bytes, which the file claims to have in front of nothing. */
async function writeHeader(
  path: string,
  write: (put: (text: string) => Promise<unknown>) => Promise<void>,
): Promise<void> {
  await using file = await open(join(path, "model.safetensors"), "w");
  await file.write(Buffer.alloc(lengthBytes));
  let bytes = 0;
  await write((text) => {
    bytes += Buffer.byteLength(text);
    return file.write(text);
  });
  const length = Buffer.alloc(lengthBytes);
  length.writeBigUInt64LE(BigInt(bytes));
  await file.write(length, 0, lengthBytes, 0);
}

test.each<[string, "checkpoint" | "recipe", (path: string) => Promise<unknown>, RegExp]>([
  [
    "a header of 62 MB with a million tensors",
    "checkpoint",
    (path) =>
      writeHeader(path, async (put) => {
        await put("{");
        for (let i = 0; i < 1_000_000; i += 1_000) {
          const some = Array.from(
            { length: 1_000 },
            (_, j) => `"t${i + j}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`,
          );
          await put(`${i === 0 ? "" : ","}${some.join(",")}`);
        }
        await put("}");
      }),
    /more than 250,000 tensors/,
  ],
  [
    "a header nested 200,000 deep",
    "checkpoint",
    (path) => writeHeader(path, async (put) => void (await put(`{"a":${"[".repeat(200_000)}`))),
    /where it should have "\{"/,
  ],
  [
    "a name of 20 MB",
    "checkpoint",
    (path) => writeHeader(path, async (put) => void (await put(`{"${"n".repeat(20_000_000)}":{}}`))),
    /a string of more than 4,096 bytes/,
  ],
  [
    "a header longer than any, of a file that is as long",
    "checkpoint",
    async (path) => {
      const length = Buffer.alloc(lengthBytes);
      length.writeBigUInt64LE(BigInt(maxHeaderBytes + 1));
      await writeFile(join(path, "model.safetensors"), Buffer.concat([length, Buffer.from("{")]));
      await truncate(join(path, "model.safetensors"), 10 * maxHeaderBytes);
    },
    /above the limit of 100,000,000/,
  ],
  [
    "an index of 500 MB",
    "checkpoint",
    async (path) => {
      await writeFile(join(path, indexFileName), '{"weight_map":{');
      await truncate(join(path, indexFileName), 500_000_000);
    },
    /above the limit of 67\.1 MB/,
  ],
  [
    "an index nested 200,000 deep",
    "checkpoint",
    (path) => writeFile(join(path, indexFileName), `{"metadata":${'{"a":['.repeat(200_000)}`),
    /nested more than 64 deep/,
  ],
  [
    "a recipe of a gigabyte",
    "recipe",
    async (path) => {
      await writeFile(join(path, "recipe.yaml"), "merge_method: linear\n");
      await truncate(join(path, "recipe.yaml"), 1_000_000_000);
    },
    /limit/,
  ],
  [
    "a recipe nested as deep as it is long",
    "recipe",
    (path) => writeFile(join(path, "recipe.yaml"), `models: ${"[".repeat(250_000)}`),
    /deep/,
  ],
  [
    "a recipe of aliases of aliases",
    "recipe",
    (path) => {
      const lines = Array.from(
        { length: 9 },
        (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(", ")}]`,
      );
      return writeFile(join(path, "recipe.yaml"), ["a0: &a0 [x]", ...lines, ""].join("\n"));
    },
    /alias|parts/,
  ],
])("%s is refused before it costs a second, or much memory", async (_, what, write, message) => {
  await using folder = await withTempDir();
  await write(folder.path);
  const { code, seconds, rss, ...refusal } = await refusalOf(
    what,
    what === "recipe" ? join(folder.path, "recipe.yaml") : folder.path,
  );
  expect(refusal.message).toMatch(message);
  expect(code).toBe(what === "recipe" ? "recipe_invalid" : "checkpoint_malformed");
  expect(refusal.message.length).toBeLessThan(1_000);
  expect(seconds).toBeLessThan(maxSeconds);
  expect(rss).toBeLessThan(maxRssBytes[what]);
});
