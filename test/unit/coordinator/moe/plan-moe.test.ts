import { expect, test } from "vitest";
import { askHidden } from "../../../../coordinator/moe/hidden/questions.js";
import { type PreparedMoe, planMoe, prepareMoe } from "../../../../coordinator/moe/plan-moe.js";
import { parseMoeConfig } from "../../../../coordinator/moe/read-config.js";
import type { OpenModel } from "../../../../coordinator/plan/open-models.js";
import type { Plan } from "../../../../coordinator/plan/types.js";
import { Complaints } from "../../../../coordinator/recipe/complaints.js";
import { readTokenizer } from "../../../../coordinator/tokenizer/open.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { type FakeTensors, fakeModel, tensorNamed } from "../../../support/planning.js";

interface Dense {
  readonly type?: string;
  readonly layers?: number;
  readonly intermediate?: number;
  readonly extra?: FakeTensors;
  readonly without?: readonly string[];
  readonly config?: Readonly<Record<string, unknown>>;
}

/** A dense model of hidden size 8 with 6 tokens. */
function dense({ type = "llama", layers = 1, intermediate = 12, extra = {}, without = [], config = {} }: Dense = {}) {
  const tensors: Record<string, FakeTensors[string]> = {
    "model.embed_tokens.weight": ["BF16", [6, 8]],
    "model.norm.weight": ["F32", [8]],
    "lm_head.weight": ["BF16", [6, 8]],
  };
  for (let layer = 0; layer < layers; layer += 1) {
    const at = `model.layers.${layer}.`;
    for (const name of ["q_proj", "k_proj", "v_proj", "o_proj"])
      tensors[`${at}self_attn.${name}.weight`] = ["BF16", [8, 8]];
    if (type === "qwen3")
      for (const name of ["q_norm", "k_norm"]) tensors[`${at}self_attn.${name}.weight`] = ["BF16", [4]];
    if (type === "qwen2")
      for (const name of ["q", "k", "v"]) tensors[`${at}self_attn.${name}_proj.bias`] = ["BF16", [8]];
    for (const name of ["gate_proj", "up_proj"]) tensors[`${at}mlp.${name}.weight`] = ["BF16", [intermediate, 8]];
    tensors[`${at}mlp.down_proj.weight`] = ["BF16", [8, intermediate]];
    for (const name of ["input", "post_attention"]) tensors[`${at}${name}_layernorm.weight`] = ["F32", [8]];
  }
  const all = Object.fromEntries(Object.entries({ ...tensors, ...extra }).filter(([name]) => !without.includes(name)));
  const described = { model_type: type, num_hidden_layers: layers, num_attention_heads: 2, rope_theta: 5e5, ...config };
  return fakeModel("dense", all, { config: described });
}

const tokenizerJson = {
  added_tokens: [],
  pre_tokenizer: { type: "Whitespace" },
  model: { type: "WordLevel", unk_token: "?", vocab: { "?": 0, "<s>": 1, a: 2, b: 3, c: 4, far: 6 } },
};
const tokenizer = readTokenizer(
  "/models/base",
  new Map([["tokenizer.json", Buffer.from(JSON.stringify(tokenizerJson))]]),
  undefined,
);

/** Plans a config; models are those that it names, the base first, the base's kind where none is given. */
function planOf(...args: Parameters<typeof preparedOf>): Plan {
  return planMoe(preparedOf(...args));
}

function preparedOf(
  text: string,
  given: Readonly<Record<string, Dense>> = {},
  tokens: OpenModel["tokenizer"] = tokenizer,
): PreparedMoe {
  const config = parseMoeConfig(text, "moe.yaml", { allowIdenticalExperts: true });
  const references = [config.base, ...[...config.experts, ...config.sharedExperts].map(({ model }) => model)];
  const names = [...new Set(references.map(({ value }) => value.text))];
  const models = names.map((name): OpenModel => {
    const at = references.find(({ value }) => value.text === name)?.at ?? { line: 1, column: 1 };
    const model = { ...dense(given[name] ?? given["base"]), name, at };
    return name === config.base.value.text && tokens !== undefined ? { ...model, tokenizer: tokens } : model;
  });
  return prepareMoe(config, models);
}

function complaintsOf(...args: Parameters<typeof planOf>): readonly string[] {
  try {
    planOf(...args);
  } catch (error) {
    if (error instanceof AmalgamError && error.code === "recipe_invalid") return error.message.split("\n");
    throw error;
  }
  return [];
}

const random = "base_model: base\ngate_mode: random\nexperts: [{ source_model: x }, { source_model: y }]\n";
const prompted = `base_model: base
gate_mode: cheap_embed
experts:
  - { source_model: x, positive_prompts: [a b a, c] }
  - { source_model: y, positive_prompts: [b], negative_prompts: [c] }
`;
const shared = (rest = ""): string => `${random}shared_experts: [{ source_model: z${rest} }]\n`;

const setting = (plan: Plan, key: string): unknown =>
  plan.companions.configEdits.find(({ path }) => path[0] === key)?.value;
const named = (plan: Plan, part: string): readonly string[] =>
  plan.tensors.map(({ name }) => name).filter((name) => name.includes(part));

const layouts: Readonly<
  Record<string, readonly [config: string, type: string, output: string, tensors: readonly string[]]>
> = {
  "two Llamas": [random, "llama", "mixtral", ["block_sparse_moe.gate.weight", "block_sparse_moe.experts.1.w2.weight"]],
  "two Mistrals": [random, "mistral", "mixtral", ["block_sparse_moe.experts.0.w1.weight"]],
  "Llamas and a shared expert without prompts": [
    shared(),
    "llama",
    "deepseek",
    ["mlp.shared_experts.down_proj.weight", "mlp.gate.weight", "mlp.experts.1.gate_proj.weight"],
  ],
  "Llamas and a shared expert, as Qwen": [
    `${shared()}architecture: QWEN\n`,
    "llama",
    "qwen2_moe",
    ["mlp.shared_expert.up_proj.weight", "mlp.shared_expert_gate.weight", "self_attn.q_proj.bias"],
  ],
  "Qwen2 and a shared expert": [
    shared(),
    "qwen2",
    "qwen2_moe",
    ["mlp.shared_expert_gate.weight", "self_attn.v_proj.bias"],
  ],
  "two Qwen3": [random, "qwen3", "qwen3_moe", ["mlp.experts.1.down_proj.weight", "mlp.gate.weight"]],
};

test.each(Object.entries(layouts))(
  "%s become what the names of published checkpoints say",
  (_, [config, type, output, tensors]) => {
    const plan = planOf(config, { base: { type } });
    expect(setting(plan, "model_type")).toBe(output);
    for (const tensor of tensors) tensorNamed(plan, `model.layers.0.${tensor}`);
    expect(named(plan, "mlp.gate_proj")).toEqual([]);
  },
);

test("an expert's matrices are copies of its model's, in the base's dtype, and norms keep theirs", () => {
  const plan = planOf(random, { x: {}, y: { extra: { "model.layers.0.mlp.up_proj.weight": ["F32", [12, 8]] } } });
  const copied = tensorNamed(plan, "model.layers.0.block_sparse_moe.experts.0.w3.weight");
  expect(plan.programs[copied.program]?.nodes.map(({ op }) => op)).toEqual(["input"]);
  expect(copied.inputs[0]).toMatchObject({ model: 1, dtype: "BF16" });
  const converted = tensorNamed(plan, "model.layers.0.block_sparse_moe.experts.1.w3.weight");
  expect([converted.dtype, converted.inputs[0]?.dtype]).toEqual(["BF16", "F32"]);
  expect(tensorNamed(plan, "model.norm.weight").dtype).toBe("F32");
  expect(new Set(planOf(`${random}dtype: float16\n`).tensors.map(({ dtype }) => dtype))).toEqual(new Set(["F16"]));
});

test("only the embedding's rows that prompts have are read, each as often as its token occurs", () => {
  const gate = tensorNamed(planOf(prompted), "model.layers.0.block_sparse_moe.gate.weight");
  expect(gate.shape).toEqual([2, 8]);
  const [positive, negative] = gate.inputs;
  const term = (row: number, weight: number) => ({ tensor: 0, row, rows: 1, weight });
  expect(positive?.rows?.segments).toEqual([
    { kind: "combination", count: 1, terms: [term(2, 2), term(3, 1), term(4, 1)] },
    { kind: "combination", count: 1, terms: [term(3, 1)] },
  ]);
  expect(negative?.rows?.segments).toEqual([
    { kind: "zero", count: 1 },
    { kind: "combination", count: 1, terms: [term(4, 1)] },
  ]);
  expect(positive?.bytes).toBe(4 * 8 * 2);
  const repeated = planOf(prompted, { base: { layers: 2 } });
  expect(tensorNamed(repeated, "model.layers.1.block_sparse_moe.gate.weight").inputs).toEqual(
    tensorNamed(repeated, "model.layers.0.block_sparse_moe.gate.weight").inputs,
  );
});

test("prompts begin with the token that begins a text, and unknown words are the unknown token", () => {
  const files = new Map(tokenizer.files).set("tokenizer_config.json", Buffer.from('{"bos_token":{"content":"<s>"}}'));
  const withBegin = readTokenizer("/models/base", files, undefined);
  const gate = tensorNamed(
    planOf(prompted.replace("[b]", "[nobody]"), {}, withBegin),
    "model.layers.0.block_sparse_moe.gate.weight",
  );
  const rows = gate.inputs[0]?.rows?.segments.map((segment) =>
    segment.kind === "combination" ? segment.terms.map(({ row, weight }) => [row, weight]) : [],
  );
  expect(rows).toEqual([
    [
      [1, 2],
      [2, 2],
      [3, 1],
      [4, 1],
    ],
    [
      [0, 1],
      [1, 1],
    ],
  ]);
});

test("what a dense config left to its class is said, and the rest of it stays", () => {
  const plan = planOf(random, { base: { config: { rope_theta: undefined, rms_norm_eps: 1e-5, head_dim: null } } });
  expect(setting(plan, "rope_theta")).toBe(10_000);
  expect(setting(plan, "num_key_value_heads")).toBe(2);
  expect(setting(plan, "rms_norm_eps")).toBeUndefined();
  expect(setting(plan, "sliding_window")).toBeNull();
  const modern = planOf(random, { base: { config: { rope_theta: undefined, rope_parameters: { rope_theta: 1e6 } } } });
  expect(setting(modern, "rope_theta")).toBeUndefined();
  const qwen = planOf(random, { base: { type: "qwen3" } });
  expect([setting(qwen, "head_dim"), setting(qwen, "num_key_value_heads")]).toEqual([128, 32]);
  const window = planOf(shared(), { base: { type: "qwen2", config: { layer_types: ["sliding_attention"] } } });
  expect([setting(window, "layer_types"), setting(window, "use_sliding_window")]).toEqual([["full_attention"], false]);
});

test("warnings: an odd number of experts, prompts without effect, experts that the router cannot tell apart", () => {
  const three = random.replace(
    "{ source_model: y }",
    "{ source_model: y }, { source_model: z, positive_prompts: [a] }",
  );
  expect(planOf(three).warnings).toEqual([
    "There are 3 experts, not a power of two: llama.cpp may refuse them",
    'Prompts have no effect with gate mode "random"',
  ]);
  const alike = prompted.replace("[b], negative_prompts: [c]", "[a b, a c]");
  expect(planOf(alike).warnings).toEqual([
    "The prompts of experts 0 and 1 have the same tokens: the router cannot tell these experts apart",
  ]);
  const short = planOf(random, { base: { config: { num_hidden_layers: 3 } } });
  expect(short.warnings).toEqual(['The tensors are of 1 layers, but "num_hidden_layers" in config.json is 3']);
  expect(planOf(prompted).warnings).toEqual([]);
});

const hidden = prompted.replace("cheap_embed", "hidden_avg");
/** What it takes to build the graph of a model of these sizes. */
const runnable = { hidden_size: 8, intermediate_size: 12, vocab_size: 6, max_position_embeddings: 4 };

test("gates of hidden states are read from a file of their own, a layer after the other", () => {
  const plan = planOf(hidden, { base: { layers: 2, config: runnable } });
  const source = plan.sources.findIndex(({ name }) => name === "amalgam.gates");
  expect(plan.sources[source]).toMatchObject({ model: 0, isComputed: true });
  const gates = plan.companions.files.get("amalgam.gates");
  expect(gates?.length).toBe(plan.sources[source]?.bytes);
  const inputs = [0, 1].map((layer) => {
    const tensor = tensorNamed(plan, `model.layers.${layer}.block_sparse_moe.gate.weight`);
    expect([tensor.shape, tensor.dtype]).toEqual([[2, 8], "BF16"]);
    return tensor.inputs[0];
  });
  const bytes = 2 * 8 * 4;
  const first = (gates?.length ?? 0) - 2 * bytes;
  expect(inputs).toEqual([0, 1].map((i) => ({ model: 0, source, offset: first + i * bytes, dtype: "F32", bytes })));
});

test("a shared expert's gates come after those of the others", () => {
  const text = `${hidden}shared_experts: [{ source_model: z, positive_prompts: [a] }]\n`;
  const plan = planOf(text, { base: { type: "qwen2", layers: 2, config: { ...runnable, num_key_value_heads: 1 } } });
  const [gates, bytes] = [plan.companions.files.get("amalgam.gates")?.length ?? 0, 8 * 4];
  const places = [0, 1].flatMap((layer) =>
    ["gate", "shared_expert_gate"].map((name) => {
      const { shape, inputs } = tensorNamed(plan, `model.layers.${layer}.mlp.${name}.weight`);
      return [shape[0], inputs[0]?.bytes, gates - (inputs[0]?.offset ?? 0)];
    }),
  );
  // From the end: two layers of two experts, then two layers of one.
  const row = (rows: number, fromEnd: number) => [rows, rows * bytes, fromEnd * bytes];
  expect(places).toEqual([row(2, 6), row(1, 2), row(2, 4), row(1, 1)]);
});

test("prompts are run once each, and a mode that ends in another number is a question of its own", () => {
  const text = hidden.replace("[b], negative_prompts: [c]", "[c, b, c], negative_prompts: [a b a]");
  const { questions } = preparedOf(text, { base: { config: runnable } }).hidden ?? {};
  const sequences = [[2, 3, 2], [4], [3]];
  expect(questions).toMatchObject({ pooling: "mean", sequences });
  const experts = [
    { positive: [0, 1], negative: [] },
    { positive: [1, 2, 1], negative: [0] },
  ];
  expect(questions?.experts).toMatchObject(experts);
  for (const mode of ["hidden", "hidden_last"]) {
    const other = preparedOf(text.replace("hidden_avg", mode), { base: { config: runnable } });
    expect(other.hidden?.questions).toMatchObject({ pooling: "last", sequences });
  }
});

test("hidden states that do not fit a message, or memory, are refused", () => {
  const { config, base } = preparedOf(hidden, { base: { config: runnable } });
  const complaintOf = (states: number): string => {
    const complaints = new Complaints("moe.yaml");
    askHidden(config, base, { rows: 6, states }, complaints);
    return complaints.any ? complaints.error().message : "";
  };
  expect(complaintOf(2 ** 21)).toBe("");
  const large = "moe.yaml:1:13  The hidden states of one prompt take 16.8 MB, above the limit of 8.39 MB";
  expect(complaintOf(2 ** 22)).toBe(large);
  expect(complaintOf(2 ** 29)).toContain(
    "moe.yaml:3:1  The hidden states of 3 prompts take 6.44 GB, above the limit of",
  );
});

test("a plan's digest follows its seed and its prompts", () => {
  expect(planOf(random).digest).toBe(planOf(random).digest);
  expect(planOf(`${random}seed: 1\n`).digest).not.toBe(planOf(random).digest);
  expect(planOf(prompted).digest).not.toBe(planOf(prompted.replace("[b]", "[a]")).digest);
});

const bias = "model.layers.0.self_attn.o_proj.bias";
const up = "model.layers.0.mlp.up_proj.weight";
const older = { ...tokenizer, tokenizer: undefined, olderForm: "tokenizer.model" };

const refusals: Readonly<Record<string, readonly [place: string, complaint: string, ...Parameters<typeof planOf>]>> = {
  "models of two types": [
    "3:27",
    'All models must be of one type, but "x" is "mistral" and the base is "llama"',
    random,
    { x: { type: "mistral" } },
  ],
  "an unknown type": [
    "1:13",
    'No output architecture fits: Mixtral is made from models of type "llama", "mistral", not "gpt2"; DeepSeek MoE is made',
    random,
    { base: { type: "gpt2" } },
  ],
  "an unknown architecture": [
    "4:15",
    'Unknown architecture "grok", expected the beginning of one of "Mixtral", "DeepSeek MoE", "Qwen MoE", "Qwen3 MoE"',
    `${random}architecture: grok\n`,
  ],
  "an architecture that has no shared experts": [
    "5:15",
    "No output architecture fits: Mixtral takes no shared experts, found 1",
    `${shared()}architecture: mixtral\n`,
  ],
  "a Qwen2 without a shared expert": [
    "1:13",
    "Qwen MoE takes exactly 1 shared expert, found 0",
    random,
    { base: { type: "qwen2" } },
  ],
  "a gated shared expert without prompts": [
    "1:13",
    "Qwen MoE needs positive_prompts for its shared expert",
    `${prompted}shared_experts: [{ source_model: z }]\n`,
    { base: { type: "qwen2" } },
  ],
  "prompts for a shared expert without a gate": [
    "5:15",
    "DeepSeek MoE has no gate for its shared expert, which thus takes no prompts",
    `${shared(", positive_prompts: [a]")}architecture: deepseek\n`,
  ],
  "tensors that the output has no place for": [
    "1:13",
    `Cannot make a Mixtral model of "base": there is no place in it for "${bias}"`,
    random,
    { base: { extra: { [bias]: ["BF16", [8]] } }, x: {}, y: {} },
  ],
  "a base that lacks a tensor": [
    "1:13",
    'it lacks "model.norm.weight"',
    random,
    { base: { without: ["model.norm.weight"] }, x: {}, y: {} },
  ],
  "a base of another structure": ["1:13", 'it has no "model.layers.0" or', random, { base: { layers: 0 } }],
  "an expert of another width": [
    "3:27",
    'Model "x" cannot be an expert: "model.layers.0.mlp.gate_proj.weight" must be floats of [12,8] as in the base, it is BF16 of [16,8]',
    random,
    { x: { intermediate: 16 } },
  ],
  "an expert with fewer layers": [
    "3:27",
    '"model.layers.1.mlp.gate_proj.weight" must be floats of [12,8] as in the base, it is missing',
    random,
    { base: { layers: 2 }, x: {}, y: { layers: 2 } },
  ],
  "a quantized expert": [
    "3:27",
    `"${up}" must be floats of [12,8] as in the base, it is U8 of [12,8]`,
    random,
    { x: { extra: { [up]: ["U8", [12, 8]] } } },
  ],
  "a token without weights": [
    "4:5",
    "A prompt has token 6, which the base has no weights for: its embedding has 6 rows",
    prompted.replace("a b a", "far"),
  ],
  "prompts without tokens": ["5:5", 'The prompts of "y" have no tokens', prompted.replace("[b]", '[""]')],
  "hidden states of a prompt without tokens": [
    "5:5",
    'Prompt "" has no tokens, so there is nothing to run',
    hidden.replace("[b]", '[""]'),
    { base: { config: runnable } },
  ],
  "hidden states of a prompt that is too long": [
    "4:5",
    'Prompt "a b a b a" has 5 tokens, and the base takes at most 4',
    hidden.replace("a b a,", "a b a b a,"),
    { base: { config: runnable } },
  ],
  "hidden states of a token without weights": [
    "4:5",
    "A prompt has token 6, which the base has no weights for: its embedding has 6 rows",
    hidden.replace("a b a", "far"),
    { base: { config: runnable } },
  ],
  "hidden states of a base whose positions are of an unknown kind": [
    "1:13",
    'Cannot build a graph from "/models/dense/config.json": "rope_scaling.rope_type" is "spiral", which is not supported',
    hidden,
    { base: { config: { ...runnable, rope_scaling: { rope_type: "spiral" } } } },
  ],
  "hidden states without a tokenizer": [
    "1:13",
    'Cannot encode prompts with the tokenizer of "base": beside it is only "tokenizer.model"',
    hidden,
    { base: { config: runnable } },
    older,
  ],
  "a tokenizer in an older form": [
    "1:13",
    'Cannot encode prompts with the tokenizer of "base": beside it is only "tokenizer.model", and prompts are encoded with "tokenizer.json"',
    prompted,
    {},
    older,
  ],
};

test.each(Object.entries(refusals))("%s: refused with its place", (_, [place, complaint, ...args]) => {
  const complaints = complaintsOf(...args);
  expect(complaints).toHaveLength(1);
  expect(complaints[0]).toContain(`moe.yaml:${place}  `);
  expect(complaints[0]).toContain(complaint);
});
