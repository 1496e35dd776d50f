import { expect, test } from "vitest";
import type { CheckOptions } from "../../../../coordinator/moe/check-config.js";
import { parseMoeConfig } from "../../../../coordinator/moe/read-config.js";
import { AmalgamError } from "../../../../shared/errors.js";

function complaintsOf(text: string, options: CheckOptions = {}): readonly string[] {
  try {
    parseMoeConfig(text, "moe.yaml", options);
  } catch (error) {
    if (error instanceof AmalgamError && error.code === "recipe_invalid") return error.message.split("\n");
    throw error;
  }
  return [];
}

const experts = `experts:
  - { source_model: a, positive_prompts: [one] }
  - { source_model: b, positive_prompts: [two] }
`;
const head = "base_model: base\ngate_mode: cheap_embed\n";

test("a config is what its author wrote, with mergekit's defaults", () => {
  const config = parseMoeConfig(
    `base_model: base
gate_mode: cheap_embed
dtype: bfloat16
architecture: qwen
seed: 5
experts:
  - source_model: a+lora
    positive_prompts: [one, "2"]
    negative_prompts: [three]
    noise_scale: 1e-3
    residual_scale: "0.5"
  - source_model: { model: { path: b } }
    positive_prompts: [two]
shared_experts:
  - source_model: base
`,
    "moe.yaml",
  );
  expect(config).toMatchObject({
    base: { value: { text: "base" }, at: { line: 1, column: 13 } },
    gateMode: "cheap_embed",
    dtype: "BF16",
    architecture: { value: "qwen" },
    seed: 5,
    expertsPerToken: 2,
    experts: [
      {
        model: { value: { path: "a", lora: { path: "lora" } } },
        positivePrompts: ["one", "2"],
        negativePrompts: ["three"],
        noiseScale: 0.001,
        residualScale: 0.5,
      },
      { model: { value: { path: "b" } }, negativePrompts: [], noiseScale: undefined, residualScale: undefined },
    ],
    sharedExperts: [{ model: { value: { path: "base" } }, positivePrompts: [] }],
  });
  expect(parseMoeConfig(head + experts, "moe.yaml")).toMatchObject({ seed: 0, dtype: undefined, sharedExperts: [] });
});

const refusals: Readonly<Record<string, readonly [config: string, complaint: string]>> = {
  "nothing at all": ["", "moe.yaml:1:1  The config is empty"],
  "a list": ["- a\n", "moe.yaml:1:1  A config must be a mapping, found a list"],
  "two documents": [
    `${head}${experts}---\n${head}`,
    "moe.yaml:7:1  There are several configs in the file, expected one",
  ],
  "no base": [`gate_mode: random\n${experts}`, 'moe.yaml:1:1  Missing key "base_model"'],
  "no experts": [head, 'moe.yaml:1:1  Missing key "experts"'],
  "a misspelt key": [
    `${head}${experts}expert_per_token: 2\n`,
    'moe.yaml:6:1  Unknown key "expert_per_token", did you mean "experts_per_token"?',
  ],
  "an unknown key of an expert": [
    `${head}experts:\n  - { source_model: a, weight: 1, positive_prompts: [x] }\n  - { source_model: b, positive_prompts: [y] }\n`,
    'moe.yaml:4:24  Unknown key "weight", expected one of "source_model", "positive_prompts", "negative_prompts", "noise_scale", "residual_scale"',
  ],
  "an expert that is a name": [
    "base_model: b\ngate_mode: random\nexperts: [a, { source_model: b }]\n",
    'moe.yaml:3:11  An expert must be a mapping with "source_model", found the string "a"',
  ],
  "an expert without a model": [
    "base_model: b\ngate_mode: random\nexperts: [{ noise_scale: 1 }, { source_model: b }]\n",
    'moe.yaml:3:11  Missing key "source_model"',
  ],
  "a prompt that is a number": [
    `${head}experts:\n  - { source_model: a, positive_prompts: [7] }\n`,
    "moe.yaml:4:43  A prompt must be a string, found the number 7: put it in quotes",
  ],
  "noise without end": [
    "base_model: b\ngate_mode: random\nexperts: [{ source_model: a, noise_scale: .inf }, { source_model: b }]\n",
    'moe.yaml:3:43  Key "noise_scale" must be a finite number, found the number Infinity',
  ],
  "an unknown dtype": [
    `${head}${experts}dtype: bf16\n`,
    'moe.yaml:6:8  Unknown dtype "bf16", expected one of "float32"',
  ],
  "an unknown gate mode": [
    `base_model: b\ngate_mode: randon\n${experts}`,
    'moe.yaml:2:12  Unknown gate_mode "randon", did you mean "random"?',
  ],
  "a gate mode that is nearly one of hidden states": [
    `base_model: b\ngate_mode: hidden_max\n${experts}`,
    'moe.yaml:2:12  Unknown gate_mode "hidden_max", did you mean "hidden_avg"?',
  ],
  "no prompts for the mode that mergekit has by default": [
    "base_model: b\nexperts: [{ source_model: x }, { source_model: y, positive_prompts: [a] }]\n",
    'moe.yaml:2:11  Expert "x" has no positive_prompts, which gate mode "hidden" routes by',
  ],
  "no expert for a token": [
    `${head}${experts}experts_per_token: 0\n`,
    'moe.yaml:6:20  Key "experts_per_token" must be a whole number from 1',
  ],
  "more experts for a token than there are": [
    `${head}${experts}experts_per_token: 3\n`,
    'moe.yaml:3:1  3 experts per token need at least as many experts, found 2: add experts or lower "experts_per_token"',
  ],
  "an empty list of experts": [`${head}experts: []\n`, "moe.yaml:3:1  2 experts per token need"],
  "an expert without prompts": [
    `${head}experts:\n  - { source_model: a, positive_prompts: [x] }\n  - { source_model: b }\n`,
    'moe.yaml:5:5  Expert "b" has no positive_prompts, which gate mode "cheap_embed" routes by',
  ],
  "prompts that are all alike": [
    `${head}experts:\n  - { source_model: a, positive_prompts: [x] }\n  - { source_model: b, positive_prompts: [x] }\n`,
    "moe.yaml:3:1  All experts have the same prompts, so nothing tells the router which one to choose",
  ],
  "models that are all alike": [
    `${head}experts:\n  - { source_model: a, positive_prompts: [x] }\n  - { source_model: a, positive_prompts: [y] }\n`,
    "moe.yaml:3:1  All experts are the same model, which gives its answers at a higher cost: choose others, or say --allow-identical-experts",
  ],
  "some shared experts with prompts": [
    `${head}${experts}shared_experts: [{ source_model: a, positive_prompts: [x] }, { source_model: b }]\n`,
    "moe.yaml:6:62  Either all shared experts have positive_prompts or none has",
  ],
};

test.each(Object.entries(refusals))("%s is refused with its place", (_, [config, complaint]) => {
  const complaints = complaintsOf(config);
  expect(complaints).toHaveLength(1);
  expect(complaints[0]).toContain(complaint);
});

test("a config that is too large is called a config", () => {
  expect(complaintsOf("#".repeat(300_000))).toEqual([
    "moe.yaml:1:1  The config has 300000 bytes, more than the limit of 262144",
  ]);
});

test("experts of one model are fine when the output is to be trained", () => {
  const [config] = refusals["models that are all alike"] ?? [""];
  expect(complaintsOf(config, { allowIdenticalExperts: true })).toEqual([]);
  expect(
    complaintsOf("base_model: a\ngate_mode: random\nexperts: [{ source_model: a }, { source_model: a }]\n"),
  ).toEqual([]);
  expect(
    complaintsOf("base_model: a\ngate_mode: uniform_random\nexperts: [{ source_model: a }, { source_model: a }]\n"),
  ).toEqual([]);
});
