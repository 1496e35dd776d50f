import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { alongGradient } from "../../coordinator/recipe/resolve.js";
import { caseOf, expectClose, run, type Values } from "../support/methods.js";
import { repositoryPath } from "../support/repository.js";

// Short vectors that mergekit's own functions were run on; see goldens/README.md and make_explicit_methods.py.

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

const read = <T>(path: string): T => JSON.parse(readFileSync(repositoryPath("test/conformance", path), "utf8")) as T;
const explicit = read<Explicit>("goldens/explicit.json");
const more = read<Pick<Explicit, "merges">>("explicit-methods.json");
const merges = [
  ...explicit.merges.map((merge) => ({ ...merge, absolute: 1e-12 })),
  ...more.merges.map((merge) => ({ ...merge, absolute: 2 ** -24 })),
];

/** mergekit turns directions in float32 throughout. */
const spherical: ReadonlySet<string> = new Set(["slerp", "nuslerp", "multislerp", "karcher"]);

test.each(merges.map((merge) => [merge.about, merge] as const))("mergekit's numbers: %s", (_, merge) => {
  const { method, base, shape, tensors, models, parameters, output, absolute } = merge;
  const listed = models.filter(({ model }) => model !== base);
  const all: readonly ({ readonly model: string } & Values)[] =
    base === undefined ? listed : [{ model: base }, ...listed];
  const inputs = all.map(({ model }) => Float32Array.from(tensors[model] ?? []));
  const perModel = all.map(({ model: _, ...values }) => values);
  const hasBase = base !== undefined;
  const ours = run(caseOf(method, inputs, { perModel, merge: given(parameters), hasBase, shape }));
  expectClose(ours, output, spherical.has(method) ? 1e-5 : 1e-6, absolute);
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
