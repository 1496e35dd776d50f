import { expect, test } from "vitest";
import { assertFinite } from "../../../../../coordinator/moe/hidden/assert-finite.js";
import { parseMoeConfig } from "../../../../../coordinator/moe/read-config.js";

const config = parseMoeConfig(
  `base_model: base
experts:
  - { source_model: code, positive_prompts: [a] }
  - { source_model: verse, positive_prompts: [b], negative_prompts: [c] }
`,
  "config.yaml",
);
const experts = config.experts.map(({ at }, i) => {
  return { at, positive: [i], negative: i === 0 ? [] : [2] };
});
const questions = { sequences: [[1], [1, 2], [1, 2, 3]], experts, sharedExperts: [] };

test("a prompt whose states are no numbers is told at its expert, with the layer before which they are", () => {
  const states = (last: number): Float32Array[] => [1, 1, last].map((x) => Float32Array.of(0, 0, x, 0));
  const found = { layers: 2, hidden: 2 };
  assertFinite(config, questions, { ...found, states: states(1) });
  expect(() => assertFinite(config, questions, { ...found, states: states(Number.NaN) })).toThrow(
    'config.yaml:4:5  A prompt of 3 tokens makes no gates: the hidden states of "base" before layer 1 are not finite',
  );
});
