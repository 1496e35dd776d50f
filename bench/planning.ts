import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { formatHeader } from "../shared/checkpoint/header.js";
import { formatCount } from "../shared/quote.js";
import { alternate, type Benchmark, medianOf } from "./harness.js";
import { runAmalgam } from "./processes.js";
import { mebibytes, seconds, target } from "./table.js";

const layers = 61;
const experts = 762;
const [hidden, expertSize] = [2048, 1024];
const models = 4;
const [limitSeconds, limitMegabytes] = [5, 500];

/**
 * How the models were saved. `alike`: by one tool, so that headers are the same to the last byte. `each otherwise`: with
 * metadata of their own, so that no header is like another.
 */
const savings = ["alike", "each otherwise"] as const;

/** `amalgam plan` of four mixture-of-experts models with 140,000 tensors each. */
export const planning: Benchmark = {
  name: "planning",
  async run(context) {
    const names = Array.from({ length: models }, (_, model) => `model-${model}`);
    let tensors = 0;
    let bytes = 0;
    const rows: string[][] = [];
    for (const saved of savings) {
      const folder = join(context.folder, `planning ${saved}`);
      const made = names.map((name) =>
        makeHollowModel(join(folder, name), new Map(saved === "alike" ? [] : [["name", name]])),
      );
      tensors = made[0]?.tensors ?? 0;
      bytes = made.reduce((total, model) => total + model.bytes, 0);
      for (const method of ["linear", "ties"] as const) {
        context.say(`${method} of models saved ${saved}`);
        const recipe = join(folder, `${method}.yaml`);
        writeFileSync(recipe, recipeOf(method, names));
        const { plan } = await alternate(context, { plan: () => runAmalgam(["plan", recipe, "--json"]) });
        const wall = medianOf(plan, (run) => run.seconds);
        const peak = medianOf(plan, (run) => run.peakBytes);
        rows.push([
          method,
          saved,
          seconds(wall),
          target(wall, limitSeconds, "s"),
          seconds(medianOf(plan, (run) => run.cpuSeconds)),
          mebibytes(peak),
          target(peak / 1e6, limitMegabytes, "MB"),
        ]);
      }
    }
    return [
      {
        title: "Planning",
        note:
          `\`amalgam plan\` of ${models} models with ${formatCount(tensors)} tensors each in ${layers} files, ` +
          `${(bytes / 1e12).toFixed(1)} TB together, of which the headers are all that exists. The whole process.`,
        columns: ["method", "models saved", "time", "target", "CPU", "peak memory", "target"],
        rows,
      },
    ];
  },
};

function recipeOf(method: "linear" | "ties", names: readonly string[]): string {
  const [base, ...others] = names;
  const listed = method === "ties" ? others : names;
  return [
    `merge_method: ${method}`,
    ...(method === "ties" ? [`base_model: ./${base}`] : []),
    "models:",
    ...listed.flatMap((name) => [`  - model: ./${name}`, "    parameters:", "      weight: 0.3"]),
    "dtype: bfloat16",
    "",
  ].join("\n");
}

/** A layer per file. Headers are real, and so are sizes; the data are holes that take no room on the disk. */
function makeHollowModel(directory: string, metadata: ReadonlyMap<string, string>): { tensors: number; bytes: number } {
  mkdirSync(directory, { recursive: true });
  const weightMap: Record<string, string> = {};
  let total = 0;
  for (let layer = 0; layer < layers; layer += 1) {
    const file = `model-${pad(layer + 1)}-of-${pad(layers)}.safetensors`;
    const entries = namesOf(layer).map((name) => ({ name, dtype: "BF16" as const, shape: [hidden, expertSize] }));
    const header = formatHeader(entries, metadata);
    const data = entries.length * 2 * hidden * expertSize;
    const descriptor = openSync(join(directory, file), "w");
    writeSync(descriptor, header);
    ftruncateSync(descriptor, header.length + data);
    closeSync(descriptor);
    total += data;
    for (const { name } of entries) weightMap[name] = file;
  }
  const index = { metadata: { total_size: total }, weight_map: weightMap };
  writeFileSync(join(directory, "model.safetensors.index.json"), JSON.stringify(index));
  writeFileSync(join(directory, "config.json"), JSON.stringify({ model_type: "deepseek_v3" }));
  return { tensors: Object.keys(weightMap).length, bytes: total };
}

function namesOf(layer: number): readonly string[] {
  const name = (part: string): string => `model.layers.${layer}.${part}.weight`;
  const attention = ["q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"];
  const parts = ["gate_proj", "up_proj", "down_proj"];
  return [
    ...(layer === 0 ? ["model.embed_tokens.weight"] : []),
    ...attention.map((part) => name(`self_attn.${part}`)),
    ...["input_layernorm", "post_attention_layernorm", "mlp.gate", "mlp.shared_experts.gate"].map(name),
    ...Array.from({ length: experts }, (_, expert) =>
      parts.map((part) => name(`mlp.experts.${expert}.${part}`)),
    ).flat(),
    ...(layer === layers - 1 ? ["model.norm.weight", "lm_head.weight"] : []),
  ];
}

function pad(number: number): string {
  return String(number).padStart(5, "0");
}
