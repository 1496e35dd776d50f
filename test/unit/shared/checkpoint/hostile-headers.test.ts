import { execFileSync } from "node:child_process";
import { mkdir, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseHeader } from "../../../../shared/checkpoint/header.js";
import { openCheckpoint } from "../../../../shared/checkpoint/open.js";
import { readHeader } from "../../../../shared/checkpoint/read-header.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { formatSafetensors, randomTensor, withTempDir } from "../../../support/checkpoints.js";
import { hostileFile, hostileFiles } from "../../../support/hostile-files.js";

for (const [title, bytes, message, tensor] of hostileFiles) {
  test(`openCheckpoint() refuses ${title}`, async () => {
    await using directory = await withTempDir();
    const path = join(directory.path, "model.safetensors");
    await writeFile(path, bytes);
    const error = await openCheckpoint(directory.path).catch((reason: unknown) => reason);
    if (!(error instanceof AmalgamError)) throw new TypeError("Expected an AmalgamError", { cause: error });
    expect(error.message).toMatch(message);
    expect(error.code).toBe("checkpoint_malformed");
    expect(error.details["file"]).toBe(path);
    if (tensor !== undefined) expect(error.details["tensor"]).toBe(tensor);
    expect(error.message).toContain("model.safetensors");
    expect(error.message.length).toBeLessThan(700);
  });
}

test("parseHeader() refuses a million tensors", () => {
  const entries = Array.from({ length: 1_000_000 }, (_, i) => `"${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`);
  const bytes = new TextEncoder().encode(`{${entries.join(",")}}`);
  expect(() => parseHeader(bytes, { file: "x", fileBytes: 8 + bytes.length })).toThrow("more than 250,000 tensors");
});

test("readHeader() keeps terminal escapes and text direction out of its message", async () => {
  await using directory = await withTempDir();
  const path = join(directory.path, "\u001b[31m\u202e.safetensors");
  await writeFile(path, hostileFile('{"\\u001b[2J\\n\u202e":{"dtype":"\\u0007"}}'));
  const error = await readHeader(path).catch((reason: unknown) => reason);
  expect(String(error)).toMatch(/\\u001b\[31m\\u202e\.safetensors": tensor "\\u001b\[2J\\n\\u202e": .*"\\u0007"/);
  expect(String(error)).not.toMatch(/[\p{C}]/u);
});

test("readHeader() accepts a header as long as a zip archive's first bytes say", async () => {
  await using directory = await withTempDir();
  const path = join(directory.path, "x.safetensors");
  // 0x04034b50, "PK\x03\x04", is 67,324,752; and 0x0280, how a pickle starts, is 640.
  await writeFile(path, hostileFile("{}".padEnd(640)));
  expect((await readHeader(path)).header.tensors).toEqual([]);
  await writeFile(path, hostileFile("{}".padEnd(67_324_752)));
  expect((await readHeader(path)).header.dataOffset).toBe(67_324_760);
});

test("readHeader() refuses a file cut at any 4 KiB boundary", async () => {
  await using directory = await withTempDir();
  const path = join(directory.path, "x.safetensors");
  const tensors = Array.from(
    { length: 100 },
    (_, i) => [`model.layers.${i}.weight`, randomTensor(i, [16, 16])] as const,
  );
  const whole = formatSafetensors(new Map(tensors));
  for (let size = Math.floor(whole.length / 4096) * 4096; size >= 0; size -= 4096) {
    await writeFile(path, whole);
    await truncate(path, size);
    await expect(readHeader(path), `${size} bytes`).rejects.toMatchObject({ code: "checkpoint_malformed" });
  }
});

test("readHeader() refuses what is not a regular file, without waiting", async () => {
  await using directory = await withTempDir();
  const at = (name: string): string => join(directory.path, name);
  await mkdir(at("folder.safetensors"));
  execFileSync("mkfifo", [at("pipe.safetensors")]);
  await symlink("/dev/zero", at("device.safetensors"));
  await symlink("loop.safetensors", at("loop.safetensors"));
  await expect(readHeader(at("folder.safetensors"))).rejects.toThrow("it is a directory, not a regular file");
  await expect(readHeader(at("pipe.safetensors"))).rejects.toThrow("it is a FIFO, not a regular file");
  await expect(readHeader(at("device.safetensors"))).rejects.toThrow("it is a device or a socket, not a regular file");
  await expect(readHeader(at("loop.safetensors"))).rejects.toMatchObject({ code: "path_refused" });
  await expect(readHeader(at("none.safetensors"))).rejects.toThrow("it does not exist");
});
