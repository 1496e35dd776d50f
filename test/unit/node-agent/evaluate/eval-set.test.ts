import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readEvalSet } from "../../../../node-agent/evaluate/eval-set.js";
import { formatSafetensors, type TestTensor, type TestTensors, withTempDir } from "../../../support/checkpoints.js";

function integers(...numbers: readonly number[]): TestTensor {
  const bytes = new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer);
  return { dtype: "I64", shape: [numbers.length], bytes };
}

async function read(tensors: TestTensors, inputs: readonly string[]) {
  await using folder = await withTempDir();
  const path = join(folder.path, "set.safetensors");
  await writeFile(path, formatSafetensors(tensors));
  return await readEvalSet(path, inputs).catch((error: Error) => {
    throw new Error(error.message.replace(path, "set"), { cause: error });
  });
}

test("readEvalSet() reads one tensor per input, and the labels", async () => {
  const pixels = { dtype: "F32", shape: [2, 1, 2], values: [1, 2, 3, 4] } as const;
  const set = await read({ pixels, tokens: integers(7, 8), labels: integers(1, 0) }, ["pixels", "tokens"]);
  expect(set.count).toBe(2);
  expect(set.labels).toEqual(BigInt64Array.of(1n, 0n));
  expect(set.inputs.get("pixels")).toEqual({ values: Float32Array.of(1, 2, 3, 4), shape: [2, 1, 2] });
  expect(set.inputs.get("tokens")).toEqual({ values: BigInt64Array.of(7n, 8n), shape: [2] });
});

const labels = integers(1, 0);
const half = { dtype: "BF16", shape: [2], values: [1, 2] } as const;
const three = { dtype: "F32", shape: [3], values: [1, 2, 3] } as const;

test.each<[string, TestTensors, string]>([
  ["has no labels", { x: three }, 'it has no tensor "labels"'],
  ["has no such input", { labels }, 'it has no tensor "x"'],
  ["has labels that are not I64", { labels: three }, '"labels" is F32 of shape [3], not a list of I64'],
  ["has an input of another dtype", { labels, x: half }, '"x" is BF16, neither F32 nor I64'],
  ["has fewer labels than examples", { labels, x: three }, '"x" is F32 of shape [3], and there are 2 labels'],
])("readEvalSet() refuses a file that %s", async (_, tensors, problem) => {
  await expect(read(tensors, ["x"])).rejects.toThrow(`Cannot evaluate on "set": ${problem}`);
});
