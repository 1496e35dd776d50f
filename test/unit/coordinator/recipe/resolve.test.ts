import { expect, test } from "vitest";
import type { FilterEntry, Setting } from "../../../../coordinator/recipe/recipe.js";
import { alongGradient, resolverOf } from "../../../../coordinator/recipe/resolve.js";

const at = { line: 1, column: 1 };

function scalar(value: number | boolean | string) {
  return { kind: "scalar", value } as const;
}

function gradient(...values: (number | boolean | string)[]) {
  return { kind: "gradient", values } as const;
}

/** `filters(["mlp", 0.5], [undefined, 0])` */
function filters(...entries: [filter: string | undefined, value: number | FilterEntry["setting"]][]): Setting {
  return {
    kind: "filters",
    entries: entries.map(([filter, value]) => ({
      filter,
      setting: typeof value === "number" ? scalar(value) : value,
      at,
    })),
  };
}

function layers(count: number) {
  return Array.from({ length: count }, (_, index) => ({ index, count }));
}

test("alongGradient() spreads three values over eight layers as mergekit does", () => {
  const values = layers(8).map((layer) => alongGradient([1, 0.7, 0.1], layer));
  const expected = [1, 0.914286, 0.828571, 0.742857, 0.614286, 0.442857, 0.271429, 0.1];
  expect(values.map((value) => Number(value.toFixed(6)))).toEqual(expected);
});

test("alongGradient() hits every value exactly when there are as many layers", () => {
  const values = [0, 0.5, 0.3, 0.7, 1];
  expect(layers(5).map((layer) => alongGradient(values, layer))).toEqual(values);
});

test("alongGradient() gives the first value to tensors outside the layers", () => {
  expect(alongGradient([0.25, 0.5, 1], undefined)).toBe(0.25);
});

test("alongGradient() gives the last value to a model's only layer", () => {
  expect(alongGradient([0.25, 0.5, 1], { index: 0, count: 1 })).toBe(1);
});

test("alongGradient() gives a single value to every layer", () => {
  expect(layers(3).map((layer) => alongGradient([0.3], layer))).toEqual([0.3, 0.3, 0.3]);
  expect(alongGradient([0.3], undefined)).toBe(0.3);
});

test("alongGradient() never leaves the range of its values", () => {
  for (const layer of layers(997)) {
    const value = alongGradient([0.1, 1, 0.1, 1], layer);
    expect(value).toBeGreaterThanOrEqual(0.1);
    expect(value).toBeLessThanOrEqual(1);
  }
});

const attention = "model.layers.3.self_attn.q_proj.weight";
const mlp = "model.layers.3.mlp.up_proj.weight";

test.each<[string, readonly Setting[], string, number | boolean | string | undefined]>([
  ["the first setting wins", [scalar(1), scalar(2)], mlp, 1],
  ["a boolean is a value", [scalar(false), scalar(true)], mlp, false],
  ["a word is a value", [scalar("l1")], mlp, "l1"],
  ["zero is a value", [scalar(0), scalar(1)], mlp, 0],
  ["no setting, no value", [], mlp, undefined],
  ["a filter is a piece of the name", [filters(["self_attn", 1], ["mlp", 2])], mlp, 2],
  ["the first filter that matches wins, not the most exact", [filters(["proj", 1], ["mlp.up_proj", 2])], mlp, 1],
  ["a filter may hold dots", [filters(["3.mlp", 1])], mlp, 1],
  ["a dot is a dot", [filters(["3-mlp", 1], ["3.m.p", 2], [undefined, 3])], mlp, 3],
  ["case counts", [filters(["MLP", 1], [undefined, 2])], mlp, 2],
  ["no filter matches everything", [filters([undefined, 1], ["mlp", 2])], mlp, 1],
  ["a star matches everything", [filters(["*", 1], ["mlp", 2])], mlp, 1],
  ["a star in a filter makes it a glob for the whole name", [filters(["*self*", 1], ["*mlp", 2], ["*", 3])], mlp, 3],
  ["a glob that matches", [filters(["*.[0-3].self_attn.?_proj.*", 1], ["*", 2])], attention, 1],
  ["a glob is not a piece of the name", [filters(["self_attn.?_proj", 1], ["*", 2])], attention, 2],
  ["filters without a match pass on to the next setting", [filters(["mlp", 1]), scalar(2)], attention, 2],
  ["and from filters to filters", [filters(["mlp", 1]), filters(["attn", 2])], attention, 2],
  ["and to nothing", [filters(["mlp", 1]), filters(["norm", 2])], attention, undefined],
  ["filters with a match don't", [filters(["mlp", 1]), scalar(2)], mlp, 1],
])("resolverOf(): %s", (_, settings, tensorName, expected) => {
  expect(resolverOf(settings)(tensorName, undefined)).toBe(expected);
});

test("resolverOf() follows a gradient, and a gradient inside a filter", () => {
  const settings = [filters(["self_attn", gradient(0, 1)], ["mlp", gradient(1, 0)]), gradient(0.5, 0.7)];
  const resolve = resolverOf(settings);
  const third = { index: 2, count: 5 };
  const last = { index: 4, count: 5 };
  expect(resolve(attention, third)).toBe(0.5);
  expect(resolve(attention, last)).toBe(1);
  expect(resolve(mlp, last)).toBe(0);
  expect(resolve("lm_head.weight", undefined)).toBe(0.5);
  expect(resolve("model.layers.4.input_layernorm.weight", last)).toBe(0.7);
});

test("resolverOf() gives words and booleans in steps, the last one to the last layer only", () => {
  const words = resolverOf([gradient("none", "l1", "l2")]);
  const values = layers(5).map((layer) => words("x", layer));
  expect(values).toEqual(["none", "none", "l1", "l1", "l2"]);
  expect(words("lm_head.weight", undefined)).toBe("none");
  const booleans = resolverOf([gradient(true, false)]);
  expect(layers(3).map((layer) => booleans("x", layer))).toEqual([true, true, false]);
  expect(booleans("x", { index: 0, count: 1 })).toBe(false);
});
