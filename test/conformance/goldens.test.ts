import { existsSync, readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { expect, test } from "vitest";
import { editConfig } from "../../coordinator/assemble/config-edit.js";
import type { Plan } from "../../coordinator/plan/types.js";
import { narrow, widen } from "../../shared/checkpoint/convert.js";
import { type Dtype, isComputable } from "../../shared/checkpoint/dtypes.js";
import { type Checkpoint, openCheckpoint } from "../../shared/checkpoint/open.js";
import type { Node, Program } from "../../shared/expression/program.js";
import { repositoryPath } from "../support/repository.js";
import { planRecipe, runPlan } from "../support/run-plan.js";

// What the real mergekit made of these recipes; see goldens/README.md for how, and for the tolerances.

const cases = await readdir(repositoryPath("test/conformance/goldens/cases"));

/** Recipes that we refuse and mergekit runs, each with what we say; docs/mergekit.md has the reasons. */
const refused: Readonly<Record<string, RegExp>> = {
  base_only: /Method "ties" merges at least 1 model besides the base, the recipe lists 0/,
};

test.each(Object.entries(refused))("%s is refused", async (name, complaint) => {
  await expect(planRecipe(recipeOf(name))).rejects.toThrow(complaint);
});

test.each(cases.filter((name) => !(name in refused)))("%s gives mergekit's numbers", async (name) => {
  const plan = await planRecipe(recipeOf(name));
  const golden = await openCheckpoint(`${folderOf(name)}/golden.safetensors`);
  const masks = name.endsWith("_masked") ? await openCheckpoint(`${folderOf(name)}/masks.safetensors`) : undefined;
  const outputs = runPlan(plan, masks && masksForRandomNumbers, (tensor, place) => {
    const model = plan.models[place];
    if (masks === undefined || model === undefined || model.isBase) return undefined;
    const kept = readBytes(masks, `${model.name.split("/").at(-1)}/${tensor}`);
    // The random number of a kept element is below every density, that of a dropped one above.
    return narrow(
      "F32",
      Float32Array.from(kept, (keep) => (keep === 1 ? 0 : 0.999)),
    );
  });
  expect([...outputs.keys()].toSorted()).toEqual([...golden.tensors.keys()].toSorted());
  for (const [tensor, bytes] of outputs) {
    const wanted = readBytes(golden, tensor);
    const { dtype, shape } = golden.tensors.get(tensor) ?? { dtype: "U8", shape: [] };
    const planned = plan.tensors.find((each) => each.name === tensor);
    expect([planned?.dtype, planned?.shape], tensor).toEqual([dtype, shape]);
    if (isComputable(dtype)) expectNear(tensor, widen(dtype, bytes), widen(dtype, wanted), allowedBy(name, dtype));
    else expect(Buffer.from(bytes).equals(wanted), tensor).toBe(true);
  }
});

test.each(cases.filter((name) => !(name in refused)))("%s says of itself what mergekit's says", async (name) => {
  const plan = await planRecipe(recipeOf(name));
  const { configFrom, configEdits, files } = plan.companions;
  const donor = readFileSync(`${plan.models[configFrom]?.directory}/config.json`, "utf8");
  const wanted = JSON.parse(readFileSync(`${folderOf(name)}/config.json`, "utf8")) as Record<string, unknown>;
  const config = JSON.parse(editConfig(donor, configEdits)) as Record<string, unknown>;
  const facts = ["model_type", "num_hidden_layers", "n_layer", "num_layers", "num_decoder_layers", "vocab_size"];
  for (const fact of facts.filter((each) => each in wanted && each in config)) {
    expect(config[fact], fact).toBe(wanted[fact]);
  }
  const tokenizer = `${folderOf(name)}/tokenizer.json`;
  if (existsSync(tokenizer)) {
    const copied = `${plan.models[plan.companions.tokenizerFrom]?.directory}/tokenizer.json`;
    const text = Buffer.from(files.get("tokenizer.json") ?? readFileSync(copied)).toString();
    expect(numbersOf(text)).toEqual(numbersOf(readFileSync(tokenizer, "utf8")));
  }
  const template = `${folderOf(name)}/chat_template.jinja`;
  if (existsSync(template)) expect(templateOf(plan)?.trim()).toBe(readFileSync(template, "utf8").trim());
});

function folderOf(name: string): string {
  return repositoryPath("test/conformance/goldens/cases", name);
}

function recipeOf(name: string): string {
  return `${folderOf(name)}/recipe.yaml`;
}

/** Tokens and their numbers, added ones included. */
function numbersOf(text: string): Readonly<Record<string, number>> {
  const tokenizer = JSON.parse(text) as {
    model: { vocab: Record<string, number> };
    added_tokens: { content: string; id: number }[];
  };
  const added = tokenizer.added_tokens.map(({ content, id }) => [content, id] as const);
  return { ...tokenizer.model.vocab, ...Object.fromEntries(added) };
}

function templateOf({ companions }: Plan): string | undefined {
  const config = companions.files.get("tokenizer_config.json");
  if (config === undefined) return undefined;
  return (JSON.parse(Buffer.from(config).toString()) as { chat_template?: string }).chat_template;
}

interface Tolerance {
  readonly relative: number;
  readonly absolute: number;
  /** Of a 16-bit result: this many steps of its dtype, and not the two above. */
  readonly steps: number | null;
}

interface Tolerances {
  readonly default: Tolerance;
  readonly methods: Readonly<Record<string, Partial<Tolerance>>>;
  readonly cases: Readonly<Record<string, Partial<Tolerance>>>;
  readonly unrounded: Readonly<Record<string, Partial<Tolerance>>>;
}

const tolerances = JSON.parse(
  readFileSync(repositoryPath("test/conformance/goldens/tolerances.json"), "utf8"),
) as Tolerances;

/** How far from mergekit's value an element may be. Inputs are not rounded to `dtype` here, hence `unrounded`. */
function allowedBy(name: string, dtype: Dtype): (y: number) => number {
  const methods = [...readFileSync(recipeOf(name), "utf8").matchAll(/^merge_method: (\w+)/gm)].map(
    ([, method]) => method,
  );
  const relative = Math.max(...methods.map((method) => tolerances.methods[method ?? ""]?.relative ?? 0));
  const { steps, ...near } = {
    ...tolerances.default,
    ...(relative > 0 ? { relative } : {}),
    ...(tolerances.unrounded[name] ?? tolerances.cases[name]),
  };
  const bits = dtype === "BF16" ? 7 : dtype === "F16" ? 10 : undefined;
  if (bits === undefined || steps === null) return (y) => near.relative * Math.abs(y) + near.absolute;
  return (y) => steps * stepOf(y, bits, dtype === "BF16" ? 2 ** -133 : 2 ** -24);
}

/** The distance to the next number of a dtype with so many bits of fraction. */
function stepOf(x: number, fractionBits: number, smallest: number): number {
  return x === 0 ? smallest : Math.max(smallest, 2 ** (Math.floor(Math.log2(Math.abs(x))) - fractionBits));
}

function expectNear(tensor: string, ours: Float32Array, theirs: Float32Array, allowed: (y: number) => number): void {
  // An assertion for each element would take longer than all the merges.
  const i = theirs.findIndex((y, i) => !(Math.abs((ours[i] ?? Number.NaN) - y) <= allowed(y)));
  if (i >= 0) expect.fail(`${tensor}[${i}]: ${ours[i]} and ${theirs[i]}, ${allowed(theirs[i] ?? 0)} apart at most`);
}

/** A model's random numbers become an input: the k-th of these, after the models' own, is the k-th model's. */
function masksForRandomNumbers(program: Program): Program {
  const nodes = program.nodes.map(
    (node): Node => (node.op === "uniform" ? { op: "input", args: [], value: program.inputs + node.value } : node),
  );
  return { ...program, nodes, inputs: 2 * program.inputs };
}

function readBytes(checkpoint: Checkpoint, name: string): Uint8Array {
  const tensor = checkpoint.tensors.get(name);
  const file = tensor && checkpoint.files[tensor.file];
  if (tensor === undefined || file === undefined) throw new Error(`${checkpoint.directory} has no tensor ${name}`);
  return readFileSync(file.path).subarray(tensor.offset, tensor.offset + tensor.bytes);
}
