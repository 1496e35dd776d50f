import { mkdir, writeFile } from "node:fs/promises";
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
      config: { model_type: "test", torch_dtype: "bfloat16" },
    });
  }
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
  Pick<MergeJob, "assembly" | "unitBytes" | "shardBytes" | "overwrite" | "signal">
> & {
  readonly agents?: number;
  readonly mode?: "thread" | "process";
  readonly slots?: number;
  readonly onEvent?: (event: JobEvent) => void;
};

/** Merges as the command does, with local agents. */
export function mergeLocally(recipeFile: string, output: string, variation: MergeVariation = {}): Promise<JobResult> {
  const { agents = 1, mode = "thread", slots = 1, ...rest } = variation;
  return runMerge({
    recipeFile,
    output,
    assembly: "direct",
    shardBytes: 5e9,
    overwrite: false,
    ...rest,
    agents: { kind: "local", count: agents, mode, entry: agentEntry, slotsEach: slots, memoryBytesEach: 256 << 20 },
  });
}
