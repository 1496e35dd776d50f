import { expect, test } from "vitest";
import { type ElementRange, missingRanges } from "../../../../coordinator/plan/ranges.js";
import type { Plan, UnitPiece } from "../../../../coordinator/plan/types.js";
import { chooseUnitBytes, cutUnits, tensorsToGather } from "../../../../coordinator/plan/units.js";
import { type Dtype, dtypeBits } from "../../../../shared/checkpoint/dtypes.js";
import { Graph } from "../../../../shared/expression/expression.js";
import { schedule } from "../../../../shared/expression/passes.js";
import { blockElements as block } from "../../../../shared/expression/statistics.js";
import { type FakeTensors, planOf, recipeFor } from "../../../support/planning.js";
import { seeded } from "../../../support/random.js";

const each = "weight: 1";
const trimmed = "weight: 1, density: 0.5";
const recipes = {
  elementwise: recipeFor("linear", ["a", "b"], { each }),
  "by tensor": recipeFor("ties", ["a", "b"], { each: trimmed, base: "base" }),
  "by model": recipeFor("ties", ["a", "b"], { each: trimmed, base: "base", rest: "parameters: { scope: model }" }),
};

function planFor(recipe: keyof typeof recipes, tensors: FakeTensors): Plan {
  return planOf(recipes[recipe], { base: tensors, a: tensors, b: tensors });
}

/** An element-wise plan, its program replaced by one that reduces rows, as no method in the list does yet. */
function rowwise(tensors: FakeTensors): Plan {
  const plan = planFor("elementwise", tensors);
  const graph = new Graph();
  const [x, y] = [graph.input(), graph.input()];
  const program = graph.finish(x.over(x.abs().sumOver("row")).plus(y));
  return { ...plan, programs: plan.programs.map((given) => (given.inputs === 2 ? program : given)) };
}

/** The same with sums over columns. */
function columnwise(tensors: FakeTensors): Plan {
  const plan = planFor("elementwise", tensors);
  const graph = new Graph();
  const [x, y] = [graph.input(), graph.input()];
  const program = graph.finish(x.over(x.abs().sumOver("column")).plus(y));
  return { ...plan, programs: plan.programs.map((given) => (given.inputs === 2 ? program : given)) };
}

/** A piece's cost: bytes written, and read, every statistics pass included. */
function costOf(plan: Plan, { tensor, begin, end }: UnitPiece): { written: number; read: number } {
  const planned = plan.tensors[tensor];
  const program = plan.programs[planned?.program ?? -1];
  if (planned === undefined || program === undefined) throw new RangeError(`No tensor ${tensor}`);
  const bytes = (dtype: Dtype): number => ((end - begin) * dtypeBits(dtype)) / 8;
  const once = planned.inputs.reduce((sum, { dtype }) => sum + bytes(dtype), 0);
  return { written: bytes(planned.dtype), read: once * (1 + schedule(program).statistics.length) };
}

/** The largest sizes of a dimension for each number of dimensions, so that tensors go to some ten blocks. */
const largest = [[], [700_000], [900, 800], [90, 90, 90]];
const dtypes: readonly Dtype[] = ["F32", "BF16", "F16", "F64", "F8_E4M3", "I64", "U8", "F4", "F6_E2M3"];

function randomPlan(random: () => number): Plan {
  const tensors: Record<string, [Dtype, number[]]> = {};
  const below = (limit: number): number => Math.floor(random() * limit);
  for (let i = 0; i < 1 + below(10); i += 1) {
    const dtype = dtypes[below(dtypes.length)] ?? "F32";
    const shape = (largest[below(largest.length)] ?? []).map((size) => below(size));
    // Elements narrower than a byte come in fours.
    tensors[`model.layers.${i}.weight`] = [dtype, dtypeBits(dtype) < 8 ? [...shape, 4] : shape];
  }
  const kinds = [...Object.keys(recipes), "rowwise"];
  const kind = kinds[below(kinds.length)];
  return kind === "rowwise" ? rowwise(tensors) : planFor(kind as keyof typeof recipes, tensors);
}

/** What a tensor may be cut at multiples of. */
function grainOf(plan: Plan, tensor: number): number {
  const planned = plan.tensors[tensor];
  const isRowwise = schedule(plan.programs[planned?.program ?? -1] as Plan["programs"][number]).rowwise;
  return isRowwise ? Math.max(1, planned?.shape.at(-1) ?? 1) : block;
}

/** Some blocks of some tensors, as an earlier run may have left them: in order, not touching. */
function randomDone(plan: Plan, random: () => number): Map<number, ElementRange[]> {
  const done = new Map<number, ElementRange[]>();
  for (const [tensor, { elements }] of plan.tensors.entries()) {
    const grain = grainOf(plan, tensor);
    const ranges: ElementRange[] = [];
    for (let begin = 0; begin < elements; begin += grain * (1 + Math.floor(random() * 40))) {
      const end = Math.min(elements, begin + grain);
      if (random() < 0.3 && (ranges.at(-1)?.end ?? -1) < begin) ranges.push({ begin, end });
    }
    if (ranges.length > 0) done.set(tensor, ranges);
  }
  return done;
}

for (let seed = 0; seed < 150; seed += 1) {
  test(`cutUnits() covers what is left of random plan ${seed} exactly once`, () => {
    const random = seeded(seed);
    const plan = randomPlan(random);
    const unitBytes = Math.ceil(10 ** (4 + 3 * random()));
    const done = random() < 0.5 ? randomDone(plan, random) : new Map<number, ElementRange[]>();
    const units = cutUnits(plan, { unitBytes, done });

    const pieces = units.flatMap((unit) => unit.pieces);
    for (const [tensor, { elements }] of plan.tensors.entries()) {
      const own = pieces.filter((piece) => piece.tensor === tensor).map(({ begin, end }) => ({ begin, end }));
      const all = [...own, ...(done.get(tensor) ?? [])].sort((a, b) => a.begin - b.begin);
      const covered = all.reduce((sum, { begin, end }) => sum + end - begin, 0);
      expect(missingRanges(all, { begin: 0, end: elements })).toEqual([]);
      expect(covered, "elements covered").toBe(elements);
      const grain = grainOf(plan, tensor);
      for (const { begin, end } of own)
        expect([begin % grain, end === elements || end % grain === 0]).toEqual([0, true]);
    }

    expect(units.map(({ id }) => id)).toEqual(units.map((_, place) => place));
    for (const unit of units) {
      const costs = unit.pieces.map((piece) => costOf(plan, piece));
      expect(unit.bytesWritten).toBe(costs.reduce((sum, { written }) => sum + written, 0));
      expect(unit.bytesRead).toBe(costs.reduce((sum, { read }) => sum + read, 0));
      if (unit !== units.at(-1)) expect(unit.bytesWritten).toBeGreaterThanOrEqual(unitBytes);
      // All but the last piece are less than a unit, and the last one is a grain, or a tensor that stays whole.
      const last = unit.pieces.at(-1);
      const grainBytes =
        (grainOf(plan, last?.tensor ?? 0) * dtypeBits(plan.tensors[last?.tensor ?? 0]?.dtype ?? "U8")) / 8;
      expect(unit.bytesWritten).toBeLessThanOrEqual(unitBytes + Math.max(grainBytes, 2 * unitBytes));
    }
    expect(cutUnits(plan, { unitBytes, done })).toEqual(units);
  });
}

test("cutUnits() fills units to the byte where blocks fit them", () => {
  // 1/49 times 49 is not 1 in floating point.
  const plan = planFor("elementwise", { x: ["BF16", [49 * block]] });
  const units = cutUnits(plan, { unitBytes: 2 * block });
  expect(units.map(({ bytesWritten }) => bytesWritten)).toEqual(Array(49).fill(2 * block));
});

test("cutUnits() puts small tensors together and keeps output order", () => {
  const plan = planFor("elementwise", { a: ["F32", [100]], b: ["F32", [100]], c: ["F32", [100]], d: ["F32", [100]] });
  const units = cutUnits(plan, { unitBytes: 1_000 });
  expect(units.map(({ pieces }) => pieces.map(({ tensor }) => tensor))).toEqual([[0, 1, 2], [3]]);
});

test("cutUnits() keeps a tensor with statistics whole up to twice the unit, for its agent can gather them alone", () => {
  const tensors: FakeTensors = { fits: ["F32", [2 * block]], large: ["F32", [2 * block + 1]] };
  const unitBytes = 4 * block;
  const cut = (recipe: keyof typeof recipes, forGathering = false) =>
    cutUnits(planFor(recipe, tensors), { unitBytes, forGathering }).map(({ pieces }) => pieces.length);
  const pieces = cutUnits(planFor("by tensor", tensors), { unitBytes }).flatMap((unit) => unit.pieces);
  expect(pieces).toEqual([
    { tensor: 0, begin: 0, end: 2 * block },
    { tensor: 1, begin: 0, end: block },
    { tensor: 1, begin: block, end: 2 * block },
    { tensor: 1, begin: 2 * block, end: 2 * block + 1 },
  ]);
  // One pass at a time, or passes over the whole model, need no tensor whole.
  expect(cut("by tensor", true)).toEqual([1, 1, 1, 1, 1]);
  expect(cut("by model")).toEqual([1, 1, 1, 1, 1]);
  expect(cut("elementwise")).toEqual([1, 1, 1, 1, 1]);
});

test("cutUnits() cuts programs that reduce rows between rows", () => {
  const plan = rowwise({ x: ["F32", [1_000, 300]] });
  const pieces = cutUnits(plan, { unitBytes: 100_000 }).flatMap((unit) => unit.pieces);
  expect(pieces.slice(0, 2)).toEqual([
    { tensor: 0, begin: 0, end: 83 * 300 },
    { tensor: 0, begin: 83 * 300, end: 84 * 300 },
  ]);
});

test("cutUnits() leaves out tensors that are not asked for", () => {
  const plan = planFor("elementwise", { a: ["F32", [10]], b: ["F32", [10]], c: ["F32", [0]] });
  const units = cutUnits(plan, { unitBytes: 1, tensors: new Set([1, 2]) });
  expect(units.map(({ pieces }) => pieces)).toEqual([[{ tensor: 1, begin: 0, end: 10 }]]);
});

test("tensorsToGather() names the cut tensors of a method that looks at a whole tensor", () => {
  const plan = planFor("by tensor", { small: ["F32", [10]], large: ["F32", [9 * block]] });
  const units = cutUnits(plan, { unitBytes: 4 * block });
  expect([...tensorsToGather(plan, units)]).toEqual([1]);
  expect([...tensorsToGather(plan, cutUnits(plan, { unitBytes: 36 * block }))]).toEqual([]);
  expect([...tensorsToGather(planFor("elementwise", { x: ["F32", [9 * block]] }), units)]).toEqual([]);
});

test("tensorsToGather() names all tensors for the whole model, those that are written too", () => {
  const plan = planFor("by model", { a: ["F32", [10]], ids: ["I64", [4]], b: ["F32", [10]] });
  const [first, second] = plan.tensors.entries();
  const whole = (elements = 0) => [{ begin: 0, end: elements }];
  const copied = plan.tensors.findIndex(({ name }) => name === "ids");
  const merged = [0, 1, 2].filter((tensor) => tensor !== copied);
  const done = new Map(plan.tensors.map(({ elements }, tensor) => [tensor, whole(elements)] as const));
  expect([first, second]).toHaveLength(2);
  done.delete(merged[1] ?? -1);
  expect([...tensorsToGather(plan, cutUnits(plan, { unitBytes: 1, done }))].sort()).toEqual(merged);
  done.set(merged[1] ?? -1, whole(10));
  done.delete(copied);
  expect([...tensorsToGather(plan, cutUnits(plan, { unitBytes: 1, done }))]).toEqual([]);
});

test("chooseUnitBytes() gives every slot several units, within bounds", () => {
  const plan = (elements: number): Plan => planFor("elementwise", { x: ["F32", [elements]] });
  expect(chooseUnitBytes(plan(1_000), 8)).toBe(4_000_000);
  const unitsPerSlot = (8 * 4 * 80_000_000) / chooseUnitBytes(plan(8 * 80_000_000), 8) / 8;
  expect(unitsPerSlot).toBeGreaterThanOrEqual(4);
  expect(chooseUnitBytes(plan(80_000_000_000), 8)).toBe(512_000_000);
  // A thousand agents are not kept busy by units that one coordinator cannot hand out fast enough.
  expect(chooseUnitBytes(plan(250_000_000_000), 8_000)).toBe(50_000_000);
});

test("cutUnits() never cuts a tensor whose columns are summed, however large", () => {
  const plan = columnwise({ x: ["F32", [2_000, 300]], y: ["F32", [1_000]] });
  const units = cutUnits(plan, { unitBytes: 10_000 });
  expect(units.flatMap(({ pieces }) => pieces)).toEqual([
    { tensor: 0, begin: 0, end: 600_000 },
    { tensor: 1, begin: 0, end: 1_000 },
  ]);
  expect(tensorsToGather(plan, units).size).toBe(0);
});

test("a matrix whose rows come from everywhere is cut into units whose requests can be sent", () => {
  const rows = 1_200_000;
  const plan = planFor("by tensor", { "model.embed_tokens.weight": ["F32", [rows, 2]] });
  const segments = Array.from({ length: rows }, (_, i) => {
    return { kind: "run" as const, count: 1, tensor: 0, row: rows - 1 - i };
  });
  const tensors = plan.tensors.map((tensor) => {
    const [first, ...rest] = tensor.inputs;
    if (first === undefined) throw new Error("There is no input");
    const map = { tensors: [{ ...first, rows }], columns: 2, segments };
    return { ...tensor, inputs: [{ ...first, rows: map }, ...rest] };
  });
  const units = cutUnits({ ...plan, tensors }, { unitBytes: 1e9 });
  expect(units.flatMap(({ pieces }) => pieces.map(({ begin, end }) => (end - begin) / 2))).toEqual([
    393_216, 393_216, 393_216, 20_352,
  ]);
  expect(tensorsToGather({ ...plan, tensors }, units)).toEqual(new Set([0]));
});
