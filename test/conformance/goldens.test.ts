import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { expect, test } from "vitest";
import { narrow, widen } from "../../shared/checkpoint/convert.js";
import type { ComputableDtype } from "../../shared/checkpoint/dtypes.js";
import { type Checkpoint, openCheckpoint } from "../../shared/checkpoint/open.js";
import type { Node, Program } from "../../shared/expression/program.js";
import { repositoryPath } from "../support/repository.js";
import { planRecipe, runPlan } from "../support/run-plan.js";

// What the real mergekit made of these recipes; see goldens/README.md for how, and for the tolerances.

const cases = await readdir(repositoryPath("test/conformance/goldens/cases"));
const needSlices: readonly string[] = ["passthrough_stack", "slerp_filters"];

test.each(cases.filter((name) => !needSlices.includes(name)))("%s gives mergekit's numbers", async (name) => {
  const folder = repositoryPath("test/conformance/goldens/cases", name);
  const plan = await planRecipe(`${folder}/recipe.yaml`);
  const golden = await openCheckpoint(`${folder}/golden.safetensors`);
  const masks = name.endsWith("_masked") ? await openCheckpoint(`${folder}/masks.safetensors`) : undefined;
  const maskModels = plan.models.filter(({ isBase }) => !isBase).map((model) => model.name.split("/").at(-1));
  const outputs = runPlan(plan, masks && masksForRandomNumbers, (tensor, place) => {
    const kept = masks && readBytes(masks, `${maskModels[place]}/${tensor}`);
    // The random number of a kept element is below every density, that of a dropped one above.
    return (
      kept &&
      narrow(
        "F32",
        Float32Array.from(kept, (keep) => (keep === 1 ? 0 : 0.999)),
      )
    );
  });
  expect([...outputs.keys()].toSorted()).toEqual([...golden.tensors.keys()].toSorted());
  const relative = name.startsWith("slerp") ? 1e-5 : 1e-6;
  for (const [tensor, bytes] of outputs) {
    const wanted = golden.tensors.get(tensor);
    const dtype = wanted?.dtype as ComputableDtype;
    expect(plan.tensors.find((planned) => planned.name === tensor)?.dtype).toBe(dtype);
    const ours = widen(dtype, bytes);
    widen(dtype, readBytes(golden, tensor)).forEach((y, i) => {
      const allowed = dtype === "BF16" ? bf16Step(y) : relative * Math.abs(y) + 2 ** -24;
      expect(Math.abs((ours[i] ?? Number.NaN) - y), `${tensor}[${i}]: ${ours[i]} and ${y}`).toBeLessThanOrEqual(
        allowed,
      );
    });
  }
});

/** The k-th random stream becomes the k-th input after the models'; streams number all models, the base has none. */
function masksForRandomNumbers(program: Program): Program {
  const streams = [...new Set(program.nodes.filter((node) => node.op === "uniform").map((node) => node.value))];
  const nodes = program.nodes.map(
    (node): Node =>
      node.op === "uniform" ? { op: "input", args: [], value: program.inputs + streams.indexOf(node.value) } : node,
  );
  return { ...program, nodes, inputs: program.inputs + streams.length };
}

function readBytes(checkpoint: Checkpoint, name: string): Uint8Array {
  const tensor = checkpoint.tensors.get(name);
  const file = tensor && checkpoint.files[tensor.file];
  if (tensor === undefined || file === undefined) throw new Error(`${checkpoint.directory} has no tensor ${name}`);
  return readFileSync(file.path).subarray(tensor.offset, tensor.offset + tensor.bytes);
}

function bf16Step(x: number): number {
  return x === 0 ? 2 ** -133 : 2 ** (Math.floor(Math.log2(Math.abs(x))) - 7);
}
