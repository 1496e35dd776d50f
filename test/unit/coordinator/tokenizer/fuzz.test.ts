import { expect, test } from "vitest";
import { Complaints } from "../../../../coordinator/recipe/complaints.js";
import { checkTokenizer } from "../../../../coordinator/tokenizer/check.js";
import { readTokenizer } from "../../../../coordinator/tokenizer/open.js";
import { planVocabulary } from "../../../../coordinator/tokenizer/plan.js";
import { countRows } from "../../../../coordinator/tokenizer/segments.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { fixture, models, setting } from "./models.js";

const junk: readonly unknown[] = [
  null,
  -1,
  0,
  1.5,
  1e9,
  "",
  "a",
  true,
  [],
  {},
  [[]],
  { id: 3, content: "<s>" },
  [["a", 0]],
  "a b c",
];

/** Numbers below 1 that follow from a seed alone (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Puts something else in the place of a few values anywhere in a JSON value. */
function spoil(value: unknown, next: () => number, likelihood: number): unknown {
  if (next() < likelihood) return junk[Math.floor(next() * junk.length)];
  if (Array.isArray(value)) return value.map((item) => spoil(item, next, likelihood));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, spoil(item, next, likelihood)]));
}

const seeds = Array.from({ length: 60 }, (_, i) => i);

test.each(["code", "llama-like-code", "word-piece-code", "unigram-code", "chatml"])(
  "a spoilt %s is refused or planned whole (seeds 0 to 59)",
  (name) => {
    const outcomes = { refused: 0, planned: 0 };
    for (const seed of seeds) {
      const next = random(seed);
      const config = {
        pad_token: "<x>",
        added_tokens_decoder: { "3": { content: "<y>" } },
        extra_special_tokens: ["<z>"],
      };
      const spoilt = {
        "tokenizer.json": spoil(JSON.parse(fixture(`${name}.json`).toString()), next, 0.0015),
        "tokenizer_config.json": spoil(config, next, 0.1),
        "special_tokens_map.json": spoil({ additional_special_tokens: ["<s>"] }, next, 0.1),
      };
      const files = new Map(
        Object.entries(spoilt).map(([file, json]) => [file, Buffer.from(JSON.stringify(json) ?? "")]),
      );
      try {
        const tokenizer = readTokenizer(name, files, undefined);
        const rows = tokenizer.vocabulary.size;
        const model = { name: "spoilt", model: 1, tokenizer, rows, isBase: false };
        for (const list of [[...models([name.replace("-code", "")]), model], [model]]) {
          const plan = planVocabulary(setting("union", {}, 8), list, new Complaints("recipe.yaml"));
          for (const segments of plan?.rowsOf.values() ?? []) expect(countRows(segments)).toBe(plan?.rows);
          if (plan !== undefined) expect(checkTokenizer(plan.files, plan, []).problems).toEqual([]);
        }
        outcomes.planned += 1;
      } catch (error) {
        if (!(error instanceof AmalgamError) || error.code !== "checkpoint_malformed") throw error;
        outcomes.refused += 1;
      }
    }
    expect(outcomes.planned).toBeGreaterThan(5);
    expect(outcomes.refused).toBeGreaterThan(5);
  },
);
