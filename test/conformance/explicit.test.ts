import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { alongGradient } from "../../coordinator/recipe/resolve.js";
import { caseOf, expectClose, run, type Values } from "../support/methods.js";
import { repositoryPath } from "../support/repository.js";

// Short vectors that mergekit's own functions were run on; see goldens/README.md.

interface Explicit {
  readonly merges: readonly {
    readonly about: string;
    readonly method: string;
    readonly base?: string;
    readonly shape: readonly number[];
    readonly tensors: Readonly<Record<string, readonly number[]>>;
    readonly models: readonly ({ readonly model: string } & Values)[];
    readonly parameters: Values;
    readonly output: readonly number[];
  }[];
  readonly gradients: readonly { setting: number[]; layers: number; values: number[] }[];
}

const explicit = JSON.parse(readFileSync(repositoryPath("test/conformance/goldens/explicit.json"), "utf8")) as Explicit;

test.each(explicit.merges.map((merge) => [merge.about, merge] as const))("mergekit's numbers: %s", (_, merge) => {
  const { method, base, shape, tensors, models, parameters, output } = merge;
  const listed = models.filter(({ model }) => model !== base);
  const all: readonly ({ readonly model: string } & Values)[] =
    base === undefined ? listed : [{ model: base }, ...listed];
  const inputs = all.map(({ model }) => Float32Array.from(tensors[model] ?? []));
  const perModel = all.map(({ model: _, ...values }) => values);
  const ours = run(caseOf(method, inputs, { perModel, merge: given(parameters), shape }));
  expectClose(ours, output, method === "slerp" ? 1e-5 : 1e-6, 1e-12);
});

/** mergekit's `rescale` is a boolean. */
function given(parameters: Values): Values {
  const { rescale, int8_mask: _, ...rest } = parameters as Values & { rescale?: boolean; int8_mask?: boolean };
  return rescale === undefined ? rest : { ...rest, rescale: rescale ? "l1" : "none" };
}

test("gradients along the layers have mergekit's values", () => {
  for (const { setting, layers, values } of explicit.gradients) {
    const ours = values.map((_, index) => alongGradient(setting, { index, count: layers }));
    for (const [i, value] of ours.entries()) expect(value).toBeCloseTo(values[i] ?? Number.NaN, 12);
  }
});
