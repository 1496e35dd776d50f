import { expect, test } from "vitest";
import type { OpenModel } from "../../../../coordinator/plan/open-models.js";
import { MustBeStored } from "../../../../coordinator/plan/stored-stages.js";
import { readTokenizer } from "../../../../coordinator/tokenizer/open.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { type FakeTensors, fakeModel, planOf, tensorNamed } from "../../../support/planning.js";

/** A model whose tokens are these words, with an embedding, a head and a norm. */
function speaking(
  words: readonly string[],
  options: { rows?: number; width?: number; tied?: boolean } = {},
): OpenModel {
  const { rows = words.length, width = 2, tied = false } = options;
  const tensors: Record<string, FakeTensors[string]> = {
    "model.embed_tokens.weight": ["F32", [rows, width]],
    "model.layers.0.mlp.up_proj.weight": ["F32", [4, width]],
  };
  if (!tied) tensors["lm_head.weight"] = ["F32", [rows, width]];
  const vocab = Object.fromEntries(words.map((word, id) => [word, id]));
  const json = { version: "1.0", added_tokens: [], model: { type: "WordLevel", vocab, unk_token: words[0] } };
  const tokenizer = readTokenizer(
    "/models",
    new Map([["tokenizer.json", Buffer.from(JSON.stringify(json))]]),
    undefined,
  );
  const config = { model_type: "llama", num_hidden_layers: 1, vocab_size: rows };
  return { ...fakeModel("m", tensors, { config }), tokenizer };
}

const union = `merge_method: linear
parameters: { weight: 1 }
models: [{ model: a }, { model: b }]
tokenizer_source: union
`;

function complaintsOf(recipe: string, models: Readonly<Record<string, OpenModel>>): readonly string[] {
  try {
    planOf(recipe, models);
  } catch (error) {
    if (error instanceof AmalgamError && error.code === "recipe_invalid") return error.message.split("\n");
    throw error;
  }
  throw new Error("Nothing was complained of");
}

test("models that share a vocabulary are read as they are", () => {
  const plan = planOf(union, { a: speaking(["x", "y", "z"]), b: speaking(["x", "y", "z"]) });
  const { inputs, shape } = tensorNamed(plan, "model.embed_tokens.weight");
  expect(inputs.map(({ rows }) => rows)).toEqual([undefined, undefined]);
  expect(shape).toEqual([3, 2]);
});

test("rows stand in the order of the union, and what a model lacks is the other's", () => {
  const plan = planOf(union, { a: speaking(["x", "y", "z"]), b: speaking(["z", "w", "x"]) });
  const head = tensorNamed(plan, "lm_head.weight");
  expect(head.shape).toEqual([4, 2]);
  const [a, b] = head.inputs;
  // The union is x y z w; a lacks w, b lacks y.
  expect(a?.rows?.segments).toEqual([
    { kind: "run", count: 3, tensor: 0, row: 0 },
    { kind: "run", count: 1, tensor: 1, row: 1 },
  ]);
  expect(b?.rows?.segments).toEqual([
    { kind: "run", count: 1, tensor: 0, row: 2 },
    { kind: "run", count: 1, tensor: 1, row: 1 },
    { kind: "run", count: 2, tensor: 0, row: 0 },
  ]);
  expect(plan.companions.configEdits).toContainEqual({ path: ["vocab_size"], value: 4 });
  expect([...plan.companions.files.keys()]).toContain("tokenizer.json");
});

test("a tied head takes its rows from the embedding that stands for it", () => {
  const plan = planOf(union, { a: speaking(["x", "y"]), b: speaking(["y", "x"], { tied: true }) });
  const [, b] = tensorNamed(plan, "lm_head.weight").inputs;
  const embedding = tensorNamed(plan, "model.embed_tokens.weight").inputs[1];
  expect(b?.rows?.tensors.map(({ offset }) => offset)).toEqual([embedding?.offset]);
});

test("everything that is not a token matrix is left alone", () => {
  const plan = planOf(union, { a: speaking(["x", "y"]), b: speaking(["y", "x"]) });
  expect(tensorNamed(plan, "model.layers.0.mlp.up_proj.weight").inputs.every(({ rows }) => rows === undefined)).toBe(
    true,
  );
});

test("one vocabulary does not make matrices of different width fit", () => {
  const models = { a: speaking(["x", "y"]), b: speaking(["y", "x"], { width: 3 }) };
  expect(complaintsOf(union, models)[0]).toMatch(/shapes differ|cannot stand in one matrix/);
});

test("a document whose rows another one takes must be stored first", () => {
  const first = union.replace("merge_method", "name: first\nmerge_method");
  const second =
    "merge_method: linear\nparameters: { weight: 1 }\nmodels: [{ model: first }, { model: c }]\ntokenizer_source: union\n";
  const models = { a: speaking(["x", "y"]), b: speaking(["y", "x"]), c: speaking(["q", "x"]) };
  expect(() => planOf(`${first}---\n${second}`, models)).toThrow(MustBeStored);
});

test("a recipe that says nothing of tokenizers plans no vocabulary", () => {
  const plan = planOf(union.replace("tokenizer_source: union\n", ""), {
    a: speaking(["x", "y"]),
    b: speaking(["y", "x"]),
  });
  expect(plan.companions.files.size).toBe(0);
});
