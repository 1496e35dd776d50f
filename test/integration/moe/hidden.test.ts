import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { buildGraphs } from "../../../coordinator/graphs/families.js";
import { runAgent } from "../../../node-agent/main.js";
import { openCheckpoint } from "../../../shared/checkpoint/open.js";
import { randomValues, type TestTensor, withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import { amalgam, startAmalgam } from "../../support/command.js";
import { runGraph } from "../../support/run-graph.js";
import { tokens, writeTokenizer } from "./models.js";

const hidden = 16;
const inner = 24;

/**
 * A Llama whose words are of two kinds, animals and code. Nothing but its feed-forward layers writes to the first number
 * of its hidden states, and those write there with one sign: none for 0.
 */
async function writeModel(folder: string, sign: -1 | 0 | 1): Promise<void> {
  const random = (seed: number, rows: number, columns: number, keeps: (row: number) => boolean): TestTensor => {
    const values = randomValues(seed, rows * columns, 0.3).map((x, i) => (keeps(Math.floor(i / columns)) ? x : 0));
    return { dtype: "F32", shape: [rows, columns], values };
  };
  const all = (): boolean => true;
  const ones: TestTensor = { dtype: "F32", shape: [hidden], values: new Float32Array(hidden).fill(1) };
  const embedding = randomValues(1, tokens.length * hidden, 0.2).map((x, i) => {
    const [word = "", column] = [tokens[Math.floor(i / hidden)], i % hidden];
    if (column === 0) return 0;
    const isOfKind = ["hen", "fox"].includes(word) ? column === 1 : ["code", "proof"].includes(word) && column === 2;
    return x + (isOfKind ? 1 : 0);
  });
  const table: TestTensor = { dtype: "F32", shape: [tokens.length, hidden], values: embedding };
  const tensors: Record<string, TestTensor> = {
    "model.embed_tokens.weight": table,
    "lm_head.weight": table,
    "model.norm.weight": ones,
  };
  for (const layer of [0, 1]) {
    const at = `model.layers.${layer}.`;
    for (const [i, name] of ["q_proj", "k_proj", "v_proj"].entries()) {
      tensors[`${at}self_attn.${name}.weight`] = random(10 * layer + i + 2, hidden, hidden, all);
    }
    tensors[`${at}self_attn.o_proj.weight`] = random(10 * layer + 5, hidden, hidden, (row) => row > 0);
    // x · silu(x) is never negative, so that it is the sign's.
    const gate = random(10 * layer + 6, inner, hidden, all);
    tensors[`${at}mlp.gate_proj.weight`] = gate;
    tensors[`${at}mlp.up_proj.weight`] = gate;
    const down = Float32Array.from({ length: hidden * inner }, (_, i) => (i < inner ? sign : 0));
    tensors[`${at}mlp.down_proj.weight`] = { dtype: "F32", shape: [hidden, inner], values: down };
    tensors[`${at}input_layernorm.weight`] = ones;
    tensors[`${at}post_attention_layernorm.weight`] = ones;
  }
  const config = {
    ...{ architectures: ["LlamaForCausalLM"], model_type: "llama", num_hidden_layers: 2, num_attention_heads: 2 },
    ...{ hidden_size: hidden, intermediate_size: inner, vocab_size: tokens.length, max_position_embeddings: 32 },
  };
  await writeCheckpoint(folder, tensors, { config });
  await writeTokenizer(folder, tokens);
}

const recipe = `base_model: base
gate_mode: hidden_avg
experts_per_token: 1
experts:
  - source_model: animals
    positive_prompts: [the hen, the fox and a hen]
    negative_prompts: [the proof]
  - source_model: code
    positive_prompts: [the code, proof the code]
    negative_prompts: [the hen]
`;

async function withModels() {
  const folder = await withTempDir();
  const at = (name: string): string => join(folder.path, name);
  await writeModel(at("base"), 0);
  await writeModel(at("animals"), 1);
  await writeModel(at("code"), -1);
  await writeFile(at("config.yaml"), recipe);
  return { at, path: folder.path, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

/** What the experts that a text's words went to have written, by word. */
async function writtenBy(path: string, text: readonly string[]): Promise<readonly number[]> {
  const { config, tensors } = await openCheckpoint(path);
  const { body } = buildGraphs({ config, tensors, configFile: "config.json" }).graphs;
  if (body === undefined) throw new Error("There is no body");
  const ids = ["<s>", ...text].map((word) => tokens.indexOf(word));
  const shape = [1, ids.length];
  const { hidden: states } = await runGraph(body.model, path, {
    input_ids: { type: "I64", shape, values: ids },
    attention_mask: { type: "I64", shape, values: ids.map(() => 1) },
  });
  return text.map((_, i) => Number(states?.values[(i + 1) * hidden]));
}

test("texts go to the expert whose prompts they are like, and the base is run once for the gates", async () => {
  await using models = await withModels();
  const output = models.at("out");
  await using begun = startAmalgam(["moe", models.at("config.yaml"), output, "--json"]);
  expect(await begun.event("prompts")).toEqual({ event: "prompts", done: 0, doneBefore: 0, prompts: 5 });
  await begun.event("started");
  await begun.kill();
  // It goes on with the gates that it began with, on other agents.
  const resumed = await amalgam("moe", models.at("config.yaml"), output, "--agents", "2", "--assembly", "stream");
  expect([resumed.code, resumed.stderr.includes("running the base")]).toEqual([0, false]);
  // Nothing is left beside it.
  expect((await readdir(models.path)).filter((name) => name.startsWith("out"))).toEqual(["out"]);
  for (const animal of await writtenBy(output, ["fox", "hen", "fox", "fox"])) expect(animal).toBeGreaterThan(0.1);
  for (const code of await writtenBy(output, ["proof", "proof", "code"])) expect(code).toBeLessThan(-0.1);

  const again = await amalgam("moe", models.at("config.yaml"), output);
  expect([again.code, again.stdout]).toEqual([0, expect.stringContaining("holds this merge already")]);
  expect(again.stderr).not.toContain("running the base");

  const reproduced = await amalgam("reproduce", output, "--recipe-folder", models.path);
  expect([reproduced.code, reproduced.stderr.includes("running the base")]).toEqual([0, false]);
  expect(reproduced.stdout).toMatch(/amalgam\.gates .* equal/);
});

test("agents that would not see the gates are told of before the base is run", async () => {
  await using models = await withModels();
  await using elsewhere = await withTempDir();
  const agent = await runAgent({ roots: [models.path] });
  try {
    const words = ["--agent", agent.address, "--assembly", "stream"];
    const outcome = await amalgam("moe", models.at("config.yaml"), join(elsewhere.path, "out"), ...words);
    expect([outcome.code, outcome.stderr.includes("running the base")]).toEqual([2, false]);
    expect(outcome.stderr).toContain('and no agent sees it; start one with a "--root" that this is below');
    expect(await readdir(elsewhere.path)).toEqual([]);
  } finally {
    await agent.close();
  }
});
