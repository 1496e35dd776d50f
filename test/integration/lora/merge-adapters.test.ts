import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openAdapter } from "../../../coordinator/lora/adapter.js";
import { readModules } from "../../../coordinator/lora/modules.js";
import { fixture, largestDifference, lowRankProduct } from "../../support/adapters.js";
import { withWorkplace } from "../../support/command.js";

/** What an adapter adds to its first module's weight. */
async function firstDelta(directory: string): Promise<Float64Array> {
  const adapter = await openAdapter(directory);
  const module = readModules(adapter).modules.find(({ name }) => name === "model.layers.0.self_attn.q_proj");
  if (module === undefined) throw new RangeError("No such module");
  return lowRankProduct(adapter.checkpoint, { ...module, transposed: false });
}

test("merge-adapters reads a weight behind a path, and takes 1 where there is none", async () => {
  await using place = await withWorkplace();
  const argv = [fixture("left"), `${fixture("right")}:-2.5e-1`, place.at("merged"), "--method", "concatenate"];
  const { stdout, stderr, code } = await place.run("merge-adapters", ...argv);
  expect([code, stderr, stdout]).toEqual([0, "", "merged: 7 modules, rank 5\n"]);
  const [left, right, merged] = await Promise.all(
    [fixture("left"), fixture("right"), place.at("merged")].map(firstDelta),
  );
  const sum = left?.map((value, i) => value - 0.25 * (right?.[i] ?? 0)) ?? [];
  expect(largestDifference(merged ?? [], sum)).toBeLessThan(1e-8);
  const card = await readFile(join(place.at("merged"), "README.md"), "utf8");
  expect(card).toContain("/right:-0.25 merged-adapter --method concatenate");
});

test("merge-adapters warns of adapters whose configurations name different bases", async () => {
  await using place = await withWorkplace();
  await place.run("merge-adapters", fixture("left"), place.at("same"), "--rank", "1");
  const config = JSON.parse(await readFile(place.at("same", "adapter_config.json"), "utf8")) as object;
  await place.write("same/adapter_config.json", JSON.stringify({ ...config, base_model_name_or_path: "another" }));
  const { stdout } = await place.run("merge-adapters", place.at("same"), fixture("left"), place.at("merged"), "--json");
  expect(JSON.parse(stdout)).toMatchObject({
    ...{ output: "merged", modules: 5, rank: 3 },
    warnings: ['adapters of different bases: "another", "base"'],
  });
});

test.each<[what: string, argv: readonly string[], message: RegExp]>([
  ["an output alone", ["merged"], /^Name an adapter and the output\n$/],
  [
    "a rank that its method does not use",
    ["left", "merged", "--rank", "2", "--method", "linear"],
    /--rank goes with --method svd/,
  ],
  [
    "a method that it does not know",
    ["left", "merged", "--method", "ties"],
    /Allowed choices are svd, concatenate, linear/,
  ],
  ["biases that were trained", ["conv1d", "merged"], /it replaces "transformer.h.0.attn.c_attn.bias"/],
])("merge-adapters refuses %s, with exit code 2", async (_, argv, message) => {
  await using place = await withWorkplace();
  const paths = argv.map((word) => (["left", "conv1d"].includes(word) ? fixture(word) : word));
  const { code, stderr } = await place.run(
    "merge-adapters",
    ...paths.map((word) => (word === "merged" ? place.at(word) : word)),
  );
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
});
