import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Checkpoint, openCheckpoint } from "../../../shared/checkpoint/open.js";
import { readTensor, withTempDir } from "../../support/checkpoints.js";
import { amalgam } from "../../support/command.js";
import { expectClose } from "../../support/methods.js";
import { repositoryPath } from "../../support/repository.js";

// mergekit-moe's outputs, whose experts of a layer are fused into two tensors; see conformance/goldens/cases.md.

const cases = repositoryPath("test/conformance/goldens/moe-cases");

/** What a fused tensor [experts, rows, columns] holds of each expert, from its first row to its last. */
function fusedParts(name: string, isMixtral: boolean): readonly string[] | undefined {
  if (name.endsWith(".experts.gate_up_proj")) return isMixtral ? ["w1", "w3"] : ["gate_proj", "up_proj"];
  if (name.endsWith(".experts.down_proj")) return isMixtral ? ["w2"] : ["down_proj"];
  return undefined;
}

/** The golden's tensors by the names of published checkpoints. */
function unfused(golden: Checkpoint, isMixtral: boolean): ReadonlyMap<string, Float32Array> {
  const tensors = new Map<string, Float32Array>();
  for (const [name, { shape }] of golden.tensors) {
    const published = isMixtral ? name.replace(".mlp.", ".block_sparse_moe.") : name;
    const values = readTensor(golden, name);
    const parts = fusedParts(name, isMixtral);
    if (parts === undefined) {
      tensors.set(published, values);
      continue;
    }
    const [experts = 0] = shape;
    const size = values.length / experts / parts.length;
    const prefix = published.slice(0, published.lastIndexOf(".") + 1);
    for (let expert = 0; expert < experts; expert += 1) {
      parts.forEach((part, i) => {
        const begin = (expert * parts.length + i) * size;
        tensors.set(`${prefix}${expert}.${part}.weight`, values.subarray(begin, begin + size));
      });
    }
  }
  return tensors;
}

test.each(readdirSync(cases))("mergekit-moe's numbers: %s", async (name) => {
  await using folder = await withTempDir();
  const output = join(folder.path, "out");
  const outcome = await amalgam("moe", join(cases, name, "config.yaml"), output);
  expect(outcome.stderr).not.toContain("failed");
  expect(outcome.code).toBe(0);

  const ours = await openCheckpoint(output);
  const golden = await openCheckpoint(join(cases, name, "golden.safetensors"));
  const expected = unfused(golden, name.startsWith("mixtral"));
  expect([...ours.tensors.keys()].sort()).toEqual([...expected.keys()].sort());
  const dtypes = new Set([...golden.tensors.values()].map(({ dtype }) => dtype));
  expect(new Set([...ours.tensors.values()].map(({ dtype }) => dtype))).toEqual(dtypes);
  for (const [tensor, values] of expected) {
    if (tensor.includes("gate.weight")) expectClose(readTensor(ours, tensor), values, 1e-6, 1e-7);
    else expectClose(readTensor(ours, tensor), values, 1e-7, 0);
  }

  const config = JSON.parse(await readFile(join(output, "config.json"), "utf8")) as Record<string, unknown>;
  const theirs = JSON.parse(await readFile(join(cases, name, "config.json"), "utf8")) as Record<string, unknown>;
  // The number of experts of a Qwen3-MoE is "num_experts" in what Qwen publishes; transformers 5 reads and writes either.
  const said: Readonly<Record<string, unknown>> = { num_experts: theirs["num_local_experts"], ...theirs };
  for (const [key, value] of Object.entries(config)) if (key in said) expect([key, value]).toEqual([key, said[key]]);
  expect(Object.keys(config)).toContain("num_experts_per_tok");
});
