import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type JobEvent, type JobResult, type MergeJob, runMerge } from "../../coordinator/job.js";
import { type TestTensor, writeCheckpoint } from "./checkpoints.js";
import { normals, seeded } from "./random.js";

export const agentEntry = new URL("../../node-agent/main.js", import.meta.url);

/** Shapes that meet every way of cutting: several blocks, rows that do not fit a vector, one element, none. */
const shapes: Readonly<Record<string, readonly number[]>> = {
  "model.embed_tokens.weight": [700, 300],
  "model.layers.0.mlp.up_proj.weight": [300, 257],
  "model.layers.0.mlp.down_proj.weight": [129, 64],
  "model.layers.0.norm.weight": [37],
  "model.layers.1.mlp.up_proj.weight": [300, 257],
  "model.layers.1.norm.weight": [37],
  "model.empty": [0, 5],
  "model.scale": [],
};

/** A base and three experts, bf16 and one of them f32, one in several shards, in `folder`. */
export async function writeFamily(folder: string): Promise<void> {
  const models = [
    ["base", 0, "BF16", 1],
    ["math", 1, "BF16", 3],
    ["code", 2, "F32", 1],
    ["chat", 3, "BF16", 1],
  ] as const;
  for (const [name, variant, dtype, shards] of models) {
    const tensors: Record<string, TestTensor> = {
      "model.position_ids": { dtype: "I64", shape: [4], bytes: new Uint8Array(32).fill(7) },
    };
    for (const [tensor, shape] of Object.entries(shapes)) {
      const count = shape.reduce((product, dimension) => product * dimension, 1);
      const base = normals(count, seeded(tensor.length), 0.05);
      const delta = normals(count, seeded(1000 * variant + tensor.length), variant === 0 ? 0 : 0.01);
      tensors[tensor] = { dtype, shape, values: base.map((x, i) => x + (delta[i] ?? 0)) };
    }
    await writeCheckpoint(join(folder, name), tensors, {
      shards,
      config: { model_type: "test", torch_dtype: "bfloat16", vocab_size: tokens },
    });
    // Every model numbers its tokens in its own way, and each has one that no other has.
    await writeTokenizer(join(folder, name), variant);
  }
  await writeAdapter(join(folder, "lora"));
}

const tokens = shapes["model.embed_tokens.weight"]?.[0] ?? 0;

async function writeTokenizer(folder: string, variant: number): Promise<void> {
  const names = Array.from({ length: tokens - 1 }, (_, i) => `t${(i * (2 * variant + 1)) % (tokens - 1)}`);
  const vocab = Object.fromEntries([...names, `own${variant}`].map((name, id) => [name, id]));
  const model = { type: "WordLevel", vocab, unk_token: "t0" };
  const tokenizer = { version: "1.0", added_tokens: [], pre_tokenizer: { type: "Whitespace" }, model };
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
  await writeFile(join(folder, "tokenizer_config.json"), "{}");
}

/** A PEFT adapter of rank 3 for one matrix, in its own folder. */
async function writeAdapter(folder: string): Promise<void> {
  const [rows = 0, columns = 0] = shapes["model.layers.0.mlp.down_proj.weight"] ?? [];
  const module = "base_model.model.model.layers.0.mlp.down_proj";
  const factor = (shape: readonly number[], seed: number): TestTensor => {
    const count = shape.reduce((product, dimension) => product * dimension, 1);
    return { dtype: "F32", shape, values: normals(count, seeded(seed), 0.1) };
  };
  const factors = {
    [`${module}.lora_A.weight`]: factor([3, columns], 1),
    [`${module}.lora_B.weight`]: factor([rows, 3], 2),
  };
  await writeCheckpoint(folder, factors);
  await rename(join(folder, "model.safetensors"), join(folder, "adapter_model.safetensors"));
  const config = { peft_type: "LORA", r: 3, lora_alpha: 6, target_modules: ["down_proj"], bias: "none" };
  await writeFile(join(folder, "adapter_config.json"), JSON.stringify(config));
}

/** Recipes for the family, one per method and per way of running a program. */
export const familyRecipes: Readonly<Record<string, string>> = {
  linear: recipe("linear", { weight: 1 }, false),
  task_arithmetic: recipe("task_arithmetic", { weight: 0.4 }),
  ties: recipe("ties", { weight: 1, density: 0.3 }),
  ties_model: recipe("ties", { weight: 1, density: 0.3 }, true, "parameters: { scope: model, rescale: l1 }"),
  dare_linear: recipe("dare_linear", { weight: 0.4, density: 0.5 }, true, "seed: 5"),
  dare_ties: recipe("dare_ties", { weight: 0.4, density: 0.5 }, true, "seed: 5\nparameters: { rescale: inverse }"),
  slerp: "merge_method: slerp\nbase_model: base\nmodels: [{ model: base }, { model: math }]\nparameters: { t: 0.3 }\n",
  passthrough: "merge_method: passthrough\nmodels: [{ model: math }]\n",
  nuslerp: "merge_method: nuslerp\nparameters: { weight: 1 }\nmodels: [{ model: math }, { model: code }]\n",
  nuslerp_columns:
    "merge_method: nuslerp\nparameters: { weight: 1, nuslerp_flatten: false, nuslerp_row_wise: true }\nmodels: [{ model: math }, { model: code }]\n",
  multislerp: recipe("multislerp", { weight: 1 }),
  karcher: recipe("karcher", {}, false),
  model_stock: recipe("model_stock", {}, true, "parameters: { filter_wise: true }"),
  breadcrumbs_ties: recipe("breadcrumbs_ties", { weight: 1, density: 0.5, gamma: 0.05 }),
  della: recipe("della", { weight: 1, density: 0.5, epsilon: 0.2 }, true, "seed: 3"),
  sce: recipe("sce", {}, true, "parameters: { select_topk: 0.4 }"),
  ramplus_tl: recipe("ramplus_tl", {}),
  nearswap: "merge_method: nearswap\nbase_model: base\nmodels: [{ model: math }]\nparameters: { t: 0.004 }\n",
  arcee_fusion: "merge_method: arcee_fusion\nbase_model: base\nmodels: [{ model: code }]\n",
  slices: `merge_method: linear
parameters: { weight: 1 }
slices:
  - sources: [{ model: math, layer_range: [0, 2] }, { model: code, layer_range: [0, 2] }]
  - sources: [{ model: chat, layer_range: [1, 2] }, { model: base, layer_range: [1, 2] }]
`,
  union: recipe("linear", { weight: 1 }, false, "tokenizer: { source: union, pad_to_multiple_of: 64 }"),
  lora: recipe("task_arithmetic", { weight: 0.5 }).replace("math", "math+lora"),
  documents: `name: first
merge_method: dare_ties
base_model: base
seed: 11
models: [{ model: math, parameters: { weight: 1, density: 0.4 } }, { model: code+lora, parameters: { weight: 1 } }]
---
merge_method: slerp
base_model: first
models: [{ model: first }, { model: chat }]
parameters: { t: [0.2, 0.8] }
`,
  stored_documents: `name: first
merge_method: ties
base_model: base
parameters: { scope: model }
models: [{ model: math, parameters: { weight: 1, density: 0.3 } }, { model: code, parameters: { weight: 1 } }]
---
name: second
merge_method: linear
tokenizer_source: union
parameters: { weight: 1 }
models: [{ model: first }, { model: chat }]
---
merge_method: linear
tokenizer: { source: union, pad_to_multiple_of: 8 }
parameters: { weight: 1 }
models: [{ model: second }, { model: code }]
`,
};

function recipe(method: string, parameters: Record<string, number>, hasBase = true, rest = ""): string {
  const given = JSON.stringify(parameters);
  const models = ["math", "code", "chat"].map((name) => `  - { model: ${name}, parameters: ${given} }`);
  return [`merge_method: ${method}`, ...(hasBase ? ["base_model: base"] : []), "models:", ...models, rest, ""].join(
    "\n",
  );
}

export async function writeRecipe(folder: string, name: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${name}.yaml`);
  await writeFile(file, familyRecipes[name] ?? "");
  return file;
}

export type MergeVariation = Partial<
  Pick<MergeJob, "assembly" | "assemblers" | "unitBytes" | "shardBytes" | "overwrite" | "signal" | "sink">
> & {
  readonly agents?: number;
  readonly mode?: "thread" | "process";
  readonly slots?: number;
  /** Of agents that run already: no others are started. */
  readonly addresses?: readonly string[];
  readonly onEvent?: (event: JobEvent) => void;
};

/** Of tensor data, for each agent of a test. */
export const memoryBytesEach = 256 << 20;

/** Merges as the command does, with local agents or with those that the variation names. */
export function mergeLocally(recipeFile: string, output: string, variation: MergeVariation = {}): Promise<JobResult> {
  const { agents = 1, mode = "thread", slots = 1, addresses, ...rest } = variation;
  return runMerge({
    recipeFile,
    output,
    assembly: "direct",
    shardBytes: 5e9,
    overwrite: false,
    ...rest,
    agents:
      addresses === undefined
        ? { kind: "local", count: agents, mode, entry: agentEntry, slotsEach: slots, memoryBytesEach }
        : { kind: "running", addresses },
  });
}
