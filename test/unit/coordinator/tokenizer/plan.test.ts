import { describe, expect, test } from "vitest";
import type { VocabularySegment } from "../../../../coordinator/tokenizer/segments.js";
import { countRows } from "../../../../coordinator/tokenizer/segments.js";
import { encodings, fixture, models, plan, reference, setting, tokenizer, tokensOf } from "./models.js";

type Origin = readonly (readonly [model: number, row: number, weight: number])[];

/** What mergekit did: see make_fixtures.py. A token without origins has the model's own row of the same number. */
interface Golden {
  readonly models: readonly string[];
  readonly source: string;
  readonly base: boolean;
  readonly pad?: number;
  readonly tokens?: Readonly<Record<string, GoldenToken>>;
  readonly rows: number;
  readonly tokens_out: Readonly<Record<string, number>>;
  readonly origins: readonly Readonly<Record<string, Origin>>[];
  readonly padding: readonly (Origin | null)[];
}

interface GoldenToken {
  readonly source: string | { kind: string; model: string; token?: string | null; token_id?: number };
  readonly force?: boolean;
}

const goldens = JSON.parse(fixture("goldens.json").toString()) as readonly Golden[];

/** The rows of a matrix one by one: which rows of which models, in which parts. */
function originsOf(segments: readonly VocabularySegment[]): readonly Origin[] {
  return segments.flatMap((segment): Origin[] => {
    if (segment.kind === "zero") return Array.from({ length: segment.count }, () => []);
    if (segment.kind === "run") {
      return Array.from({ length: segment.count }, (_, i) => [[segment.model, segment.row + i, 1]]);
    }
    const parts = new Map<string, readonly [number, number, number]>();
    for (const { model, row, rows, weight } of segment.terms) {
      for (let i = row; i < row + rows; i++) {
        const [, , sum] = parts.get(`${model}:${i}`) ?? [0, 0, 0];
        parts.set(`${model}:${i}`, [model, i, sum + weight]);
      }
    }
    const origin = [...parts.values()].sort(([a, i], [b, j]) => a - b || i - j);
    return Array.from({ length: segment.count }, () => origin);
  });
}

function tokenSource({ source, force = false }: GoldenToken) {
  if (typeof source === "string") return { source: { kind: "model", model: reference(source) }, force } as const;
  if (source.kind === "zero") return { source: { kind: "zero" }, force } as const;
  const token = source.token ?? source.token_id ?? "";
  return { source: { kind: "model_token", model: reference(source.model), token }, force } as const;
}

function rounded(origin: Origin | undefined): Origin | undefined {
  return origin?.map(([model, row, weight]) => [model, row, Number(weight.toFixed(12))]);
}

describe("rows come from where mergekit takes them", () => {
  const named = goldens.map((golden) => {
    const { models: of, source, base, pad, tokens } = golden;
    const settings = JSON.stringify({ source, pad, tokens });
    return [`${of.join(" + ")}, ${base ? "with" : "without"} base, ${settings}`, golden] as const;
  });

  test.each(named)("%s", (_, golden) => {
    const overrides = Object.entries(golden.tokens ?? {}).map(([token, entry]) => [token, tokenSource(entry)] as const);
    const wanted = setting(golden.source, Object.fromEntries(overrides), golden.pad);
    const planned = plan(wanted, models(golden.models, golden.base));
    const tokens = tokensOf(planned);
    expect(planned.rows).toBe(golden.rows);
    expect(new Set(tokens.keys())).toEqual(new Set(Object.keys(golden.tokens_out)));
    golden.models.forEach((name, model) => {
      const origins = originsOf(planned.rowsOf.get(model) ?? []);
      expect(origins).toHaveLength(golden.rows);
      for (const [token, id] of Object.entries(golden.tokens_out)) {
        const origin = golden.origins[model]?.[token] ?? [[model, id, 1]];
        expect([name, token, rounded(origins[tokens.get(token) ?? -1])]).toEqual([name, token, rounded(origin)]);
      }
      const padding = golden.padding[model];
      if (padding !== null) expect(rounded(origins.at(-1))).toEqual(rounded(padding));
    });
  });

  test.each(named)("and the donor's tokens keep their numbers: %s", (_, golden) => {
    const overrides = Object.entries(golden.tokens ?? {}).map(([token, entry]) => [token, tokenSource(entry)] as const);
    const planned = plan(
      setting(golden.source, Object.fromEntries(overrides), golden.pad),
      models(golden.models, golden.base),
    );
    const donor = golden.models[planned.donor ?? -1] ?? "";
    for (const [token, id] of tokenizer(donor).vocabulary) {
      if (id < (encodings.rows[donor] ?? 0)) expect([token, tokensOf(planned).get(token)]).toEqual([token, id]);
    }
  });
});

const sources = ["union", "base", "code"];
const lists = [
  ["english", "code"],
  ["code", "english"],
  ["english", "code", "llama-like"],
  ["code", "code", "code"],
];
const combinations = lists.flatMap((names) =>
  sources.flatMap((source) => [1, 64].map((pad) => ({ names, source, pad }))),
);

test.each(combinations)("every model's rows make up the whole output: $names, $source, multiples of $pad", (entry) => {
  const planned = plan(setting(entry.source, {}, entry.pad), models(entry.names));
  expect(planned.rows).toBe(Math.ceil(planned.tokens / entry.pad) * entry.pad);
  expect([...planned.rowsOf.keys()]).toEqual(entry.names.map((_, model) => model));
  for (const [model, segments] of planned.rowsOf) {
    expect([model, countRows(segments)]).toEqual([model, planned.rows]);
    for (const origin of originsOf(segments)) {
      const sum = origin.reduce((total, [, , weight]) => total + weight, 0);
      expect(sum).toBeCloseTo(1, 12);
    }
  }
  expect(Math.max(...tokensOf(planned).values())).toBe(planned.tokens - 1);
  expect(new Set(tokensOf(planned).values()).size).toBe(planned.tokens);
});

test.each(["english", "llama-like", "word-piece", "unigram"])("three times %s is one run of rows for each", (name) => {
  const planned = plan(setting("union"), models([name, name, name]));
  const count = encodings.rows[name] ?? 0;
  expect([...planned.rowsOf]).toEqual([0, 1, 2].map((model) => [model, [{ kind: "run", count, model, row: 0 }]]));
  expect(planned.files.get("tokenizer.json")).toEqual(fixture(`${name}.json`));
  expect(planned.warnings).toEqual([]);
  expect(planned.outdated).toEqual([]);
});

test("a padded vocabulary shrinks to its tokens, and says so", () => {
  const planned = plan(setting("base"), models(["padded", "base"]));
  expect(planned.rows).toBe(64);
  expect(planned.rowsOf.get(0)).toEqual([{ kind: "run", count: 64, model: 0, row: 0 }]);
  expect(planned.warnings).toEqual([
    'The vocabulary shrinks from the 72 rows of "padded" to 64, for 64 tokens: 0 are appended, 0 added, 0 left out; pad_to_multiple_of makes it larger',
  ]);
});

test("padding to a multiple of 0 asks for none", () => {
  expect(plan(setting("base", {}, 0), models(["base"])).rows).toBe(64);
});

test("tokens beyond a base's embedding are left out", () => {
  const planned = plan(setting("base"), models(["unused", "base"]));
  expect(planned.tokens).toBe(64);
  expect([...tokensOf(planned).keys()].filter((token) => token.startsWith("<UNUSED"))).toEqual([]);
  expect(planned.warnings[0]).toBe(
    'Model "unused" has no rows for 4 tokens ("<UNUSED_0>", "<UNUSED_1>", "<UNUSED_2>" and 1 more) of its tokenizer, ' +
      "since its embedding has 64 rows: it is taken not to have them",
  );
});

test("a token that only the recipe names is added to a base's vocabulary", () => {
  const source = { kind: "model_token", model: reference("chatml"), token: 65 } as const;
  const planned = plan(setting("base", { "<|new|>": { source, force: false } }), models(["base", "chatml"]));
  expect(tokensOf(planned).get("<|new|>")).toBe(64);
  expect(planned.rowsOf.get(0)).toEqual([
    { kind: "run", count: 64, model: 0, row: 0 },
    { kind: "run", count: 1, model: 1, row: 65 },
  ]);
});

test("a model without a tokenizer has the base's", () => {
  const [base, other] = models(["chatml", "base"]);
  if (base === undefined || other === undefined) throw new Error("two models are needed");
  const planned = plan(setting("union"), [base, { ...other, tokenizer: undefined }]);
  expect(planned.warnings).toContain('Model "base" has no tokenizer: it is taken to have that of "chatml"');
  expect(planned.rowsOf.get(1)).toEqual([
    { kind: "run", count: 64, model: 1, row: 0 },
    { kind: "run", count: 2, model: 0, row: 64 },
  ]);
});

test("a model that only gives its tokenizer has no rows", () => {
  const [base, chatml] = models(["base", "chatml"]);
  if (base === undefined || chatml === undefined) throw new Error("two models are needed");
  const planned = plan(setting("chatml"), [base, { ...chatml, model: undefined }]);
  expect(planned.donor).toBeUndefined();
  expect([...planned.rowsOf]).toEqual([
    [
      0,
      [
        { kind: "run", count: 64, model: 0, row: 0 },
        { kind: "zero", count: 2 },
      ],
    ],
  ]);
  expect(planned.warnings).toContain(
    'No model has rows for 2 tokens ("<|im_start|>", "<|im_end|>") of the output: their rows are zero',
  );
});

test("a number that no token has is a row of zeros", () => {
  const json = JSON.parse(fixture("base.json").toString()) as { model: { vocab: Record<string, number> } };
  delete json.model.vocab["_tok_10"];
  const [base] = models(["base"]);
  if (base === undefined) throw new Error("a model is needed");
  const gapped = tokenizer("base", { "tokenizer.json": json });
  const source = { kind: "zero" } as const;
  const planned = plan(setting("base", { new: { source, force: false } }), [{ ...base, tokenizer: gapped }]);
  expect(planned.rowsOf.get(0)).toEqual([
    { kind: "run", count: 10, model: 0, row: 0 },
    { kind: "zero", count: 1 },
    { kind: "run", count: 53, model: 0, row: 11 },
    { kind: "zero", count: 1 },
  ]);
  expect(tokensOf(planned).get("new")).toBe(64);
  expect(planned.warnings).toContain("No token has 1 of the numbers below 65: their rows are zero");
});
