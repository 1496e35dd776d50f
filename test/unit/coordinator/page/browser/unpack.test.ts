import { deflateRawSync } from "node:zlib";
import { expect, test } from "vitest";
import { readCells } from "../../../../../coordinator/page/browser/unpack.js";
import { unitsOf } from "../../../../support/made-page.js";

test("a browser reads what a leader wrote", async () => {
  const cells = await readCells(unitsOf({ units: 200, done: 0.5, agents: ["a", "b"] }).cells);
  expect(cells).toHaveLength(200);
  expect(cells.filter(({ state }) => state === "done")).toHaveLength(100);
});

test.each([
  ["no base64", "%%%"],
  ["nothing deflated", Buffer.from("hello").toString("base64")],
  ["far too much", deflateRawSync(Buffer.alloc(50_000_000)).toString("base64")],
  ["cut short", unitsOf({ units: 200, done: 0.5, agents: ["a"] }).cells.slice(0, 40)],
])("%s is no cells", async (_, text) => {
  expect(await readCells(text)).toEqual([]);
});
