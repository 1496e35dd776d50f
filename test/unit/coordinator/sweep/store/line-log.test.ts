import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LineLog, type Place } from "../../../../../coordinator/sweep/store/line-log.js";
import { withTempDir } from "../../../../support/checkpoints.js";

/** What a log tells when it is opened. */
async function lines(path: string): Promise<readonly string[]> {
  const told: string[] = [];
  await LineLog.read(path, (json) => told.push(json));
  return told;
}

test("lines come back in order, also those that were written together", async () => {
  await using folder = await withTempDir();
  const path = join(folder.path, "log");
  const written = Array.from({ length: 50 }, (_, i) => JSON.stringify({ i, text: "é".repeat(i * 1000) }));
  {
    await using log = await LineLog.open(path, () => expect.fail("It is empty"));
    const places = await Promise.all(written.map((json) => log.append(json)));
    for (const i of [0, 17, 49]) expect(await log.line(places[i] as Place)).toBe(written[i]);
  }
  expect(await lines(path)).toEqual(written);
});

test.each([
  { what: "a torn last line", end: '{"i":2,"che' },
  { what: "a line that is not what was written", end: '{"i":2,"check":"00000000"}\n' },
  { what: "what is no line of ours", end: "\n\nhello\n\u0000\n" },
])("passes over $what, and goes on behind it", async ({ end }) => {
  await using folder = await withTempDir();
  const path = join(folder.path, "log");
  {
    await using log = await LineLog.open(path, () => undefined);
    await log.append('{"i":1}');
  }
  await appendFile(path, end);
  const places: Place[] = [];
  {
    await using log = await LineLog.open(path, (_, place) => places.push(place));
    places.push(await log.append('{"i":3}'));
    expect(await Promise.all(places.map((place) => log.line(place)))).toEqual(['{"i":1}', '{"i":3}']);
  }
  expect(await lines(path)).toEqual(['{"i":1}', '{"i":3}']);
});

test("a line that has changed since is not believed", async () => {
  await using folder = await withTempDir();
  const path = join(folder.path, "log");
  await using log = await LineLog.open(path, () => undefined);
  const place = await log.append('{"i":1}');
  await writeFile(path, (await readFile(path, "utf8")).replace('"i":1', '"i":7'));
  await expect(log.line(place)).rejects.toMatchObject({
    code: "io_failed",
    message: expect.stringContaining("it changed at byte 0"),
  });
});

test("no file is made before there is a line, and none is left of lines that were cleared", async () => {
  await using folder = await withTempDir();
  const path = join(folder.path, "log");
  await using log = await LineLog.open(path, () => undefined);
  await expect(readFile(path)).rejects.toMatchObject({ code: "ENOENT" });
  await log.append('{"i":1}');
  await log.clear();
  await log.append('{"i":2}');
  expect(await lines(path)).toEqual(['{"i":2}']);
});
