import { expect, test } from "vitest";
import { TileMemory } from "../../node-agent/compute/wasm/memory.js";
import { type ComputableDtype, computableDtypes } from "../../shared/checkpoint/dtypes.js";
import { type Expression, Graph, norm, sum, where } from "../../shared/expression/expression.js";
import { assertRunnable } from "../../shared/expression/passes.js";
import type { Program } from "../../shared/expression/program.js";
import { rememberedMasks } from "../../shared/expression/remembered.js";
import { blockElements } from "../../shared/expression/statistics.js";
import { runCompiled, runInterpreted, type TensorCase } from "../support/pieces.js";
import { normals, seeded, wildValues } from "../support/random.js";

/** Compiled and interpreted must agree on every bit: the interpreter rounds and adds exactly as documented. */
function expectSameBits(given: TensorCase): void {
  const compiled = runCompiled(given).bytes;
  const interpreted = runInterpreted(given);
  if (!Buffer.from(compiled).equals(interpreted)) {
    const at = compiled.findIndex((byte, i) => byte !== interpreted[i]);
    expect.fail(`differs at byte ${at} of ${compiled.length}, program ${JSON.stringify(given.program)}`);
  }
}

function program(inputs: number, build: (inputs: Expression[], graph: Graph) => Expression): Program {
  const graph = new Graph();
  return graph.finish(
    build(
      Array.from({ length: inputs }, () => graph.input()),
      graph,
    ),
  );
}

const first = (inputs: readonly Expression[]): Expression => inputs[0] as Expression;
const second = (inputs: readonly Expression[]): Expression => inputs[1] as Expression;

const operators: Record<string, (a: Expression, b: Expression) => Expression> = {
  plus: (a, b) => a.plus(b),
  minus: (a, b) => a.minus(b),
  times: (a, b) => a.times(b),
  over: (a, b) => a.over(b),
  atMost: (a, b) => a.atMost(b),
  atLeast: (a, b) => a.atLeast(b),
  negated: (a) => a.negated(),
  abs: (a) => a.abs(),
  sign: (a) => a.sign(),
  sqrt: (a) => a.sqrt(),
  floor: (a) => a.floor(),
  exp: (a) => a.exp(),
  log: (a) => a.log(),
  logOfPositive: (a, b) => a.abs().log().minus(b.exp()),
  isBelow: (a, b) => where(a.isBelow(b), a, b),
  isAbove: (a, b) => where(a.isAbove(b), 0, b),
  isAtMost: (a, b) => where(a.isAtMost(b), a, 0),
  isAtLeast: (a, b) => where(a.isAtLeast(b), a, -0),
  equals: (a, b) => where(a.equals(b), 2, a),
  and: (a, b) => where(a.isBelow(0).and(b.isAbove(0)), a, b),
  or: (a, b) => where(a.isBelow(0).or(b.isAbove(0)), a, b),
  uniform: (a) => a.plus(a.uniform(0)).minus(a.uniform(3)),
  sumOver: (a, b) => a.over(b.sumOver("tensor")),
  sumOverRow: (a, b) => a.minus(b.times(a).sumOver("row")),
  largestOver: (a, b) => a.over(b.abs().largestOver("tensor")),
  largestOverRow: (a, b) => a.minus(b.largestOver("row")),
  rowsOfRows: (a, b) => a.minus(b.minus(b.sumOver("row")).abs().sumOver("row").sqrt()),
  rowsAndUniform: (a, b) => where(a.uniform(1).isBelow(0.5), a.minus(b.sumOver("row")), 0),
  rankInRow: (a, b) => a.rankInRow().times(b),
  rankOfTies: (a, b) => a.times(4).floor().rankInRow().minus(b.sign().rankInRow()),
  rankOfRanks: (a, b) => a.times(b.rankInRow()).rankInRow(),
  rankAmongRows: (a, b) => a.minus(b.sumOver("row")).rankInRow().times(b).largestOver("row").plus(a),
  rankAndUniform: (a, b) => where(a.uniform(2).isBelow(b.rankInRow()), a, 0),
  rankThenTensor: (a, b) => a.over(where(b.rankInRow().isAbove(0.5), b, 0).sumOver("tensor")),
  sumOverColumn: (a, b) => a.minus(b.sumOver("column")),
  columnsOfColumns: (a, b) => a.over(b.minus(b.sumOver("column")).abs().sumOver("column").sqrt().plus(1)),
  columnAngles: (a, b) => {
    const cosine = a
      .times(b)
      .sumOver("column")
      .over(norm(a, "column").times(norm(b, "column")));
    return where(cosine.isAbove(0), a.times(cosine.acos().sin()), b);
  },
  columnsAndUniform: (a, b) => where(a.uniform(1).isBelow(0.5), a.minus(b.sumOver("column")), a.countOver("column")),
  columnsThenTensor: (a, b) => a.minus(b.minus(b.sumOver("column")).sumOver("tensor")).plus(a.sumOver("column")),
  rowsThenTensor: (a, b) => a.minus(b.minus(b.sumOver("row")).sumOver("tensor")),
  kthMagnitude: (a, b) => where(a.abs().isBelow(b.kthMagnitude("tensor", 3)), 0, a),
  kthOfAll: (a, b) => where(a.abs().isBelow(b.kthMagnitude("tensor", 1e9)), 0, a),
  kthOfNone: (a, b) => where(a.abs().isBelow(b.kthMagnitude("tensor", 0)), 0, a),
  kthLargest: (a, b) => where(a.isBelow(b.kthLargest("tensor", 3)), 0, a),
  kthLargestOfAll: (a, b) => where(a.isBelow(b.kthLargest("tensor", 1e9)), 0, a),
  kthLargestOfHalf: (a, b) => a.minus(b.kthLargest("tensor", b.countOver("tensor").over(2).floor())),
  quartiles: (a, b) => {
    const k = (share: number) => b.countOver("tensor").times(share).floor();
    const range = b.kthLargest("tensor", k(0.25)).minus(b.kthLargest("tensor", k(0.75)));
    return a.over(range.plus(b.kthMagnitude("tensor", k(0.1))).minus(b.kthMagnitude("tensor", k(0.9))));
  },
  countOver: (a) => a.times(a.countOver("tensor")).plus(a.countOver("row")).plus(a.countOver("model")),
  scalarsOnly: (a, b) => a.times(b.sumOver("tensor").sin().acos().plus(2).floor()),
};

const shapes: readonly (readonly number[])[] = [[0], [1], [7], [8], [16], [3, 5], [4, 17], [257, 33], [2, 3, 40]];

test.each(Object.keys(operators))("%s gives the interpreter's bits on ordinary and on wild inputs", (name) => {
  const random = seeded(name.length);
  const build = operators[name] as (a: Expression, b: Expression) => Expression;
  const built = program(2, (inputs) => build(first(inputs), second(inputs)));
  assertRunnable(built);
  for (const shape of shapes) {
    const elements = shape.reduce((product, dimension) => product * dimension, 1);
    for (const make of [() => normals(elements, random), () => wildValues(elements, random)]) {
      expectSameBits({ program: built, inputs: [make(), make()], shape });
    }
  }
});

test("reductions over several blocks and a tail add up in the documented order", () => {
  const random = seeded(7);
  const elements = 2 * blockElements + 12_345;
  const built = program(2, (inputs) => {
    const [a, b] = [first(inputs), second(inputs)];
    const threshold = a.minus(b).kthMagnitude("tensor", a.countOver("tensor").times(0.3).floor());
    return where(a.minus(b).abs().isBelow(threshold), a.times(a.times(b).sumOver("tensor")), b.minus(a.uniform(0)));
  });
  expectSameBits({ program: built, inputs: [normals(elements, random), normals(elements, random)] });
});

test.each([[[10_000]], [[3, 5_000]], [[7, 33, 5]], [[70_000, 3]]])(
  "sums over the columns of %j are the naive ones",
  (shape) => {
    const random = seeded(13);
    const elements = shape.reduce((product, dimension) => product * dimension, 1);
    const columns = elements / (shape[0] ?? 1);
    const values = normals(elements, random);
    const sums = new Float64Array(columns);
    values.forEach((x, i) => {
      sums[i % columns] = (sums[i % columns] ?? 0) + x;
    });
    const built = program(1, (inputs) => first(inputs).times(0).plus(first(inputs).sumOver("column")));
    const given = { program: built, inputs: [values], shape };
    expectSameBits(given);
    const { bytes } = runCompiled(given);
    const found = new Float32Array(bytes.buffer, bytes.byteOffset, elements);
    // f64 sums in another order differ by far less than f32 can tell.
    found.forEach((sum, i) => {
      const naive = sums[i % columns] ?? Number.NaN;
      if (!(Math.abs(sum - naive) <= 2 ** -23 * Math.abs(naive)))
        expect.fail(`column ${i % columns}: ${sum}, ${naive}`);
    });
  },
);

test.each(computableDtypes.flatMap((from) => computableDtypes.map((to) => [from, to] as const)))(
  "%s in and %s out are converted as the scalar reference converts them",
  (from: ComputableDtype, to: ComputableDtype) => {
    const random = seeded(11);
    const built = program(2, (inputs) => first(inputs).plus(second(inputs)));
    const wild = wildValues(5000, random);
    const small = normals(5000, random, 0.02);
    for (const values of [wild, small]) {
      const zeros = new Float32Array(values.length);
      expectSameBits({ program: built, inputs: [values, zeros], dtypes: [from, "F32"], outputDtype: to });
    }
  },
);

test("every bf16, f16 and f8 pattern survives a pass through f32 unless it is a NaN, which becomes canonical", () => {
  const built = program(1, (inputs) => first(inputs).times(1));
  const random = seeded(3);
  for (const dtype of ["BF16", "F16", "F8_E4M3", "F8_E5M2"] as const) {
    expectSameBits({ program: built, inputs: [wildValues(40_000, random)], dtypes: [dtype], outputDtype: dtype });
  }
});

/** A memory that has room for nothing between passes. */
class Forgetful extends TileMemory {
  override keep(): undefined {
    return undefined;
  }
}

test.each([
  ["drawn by chance", false, [40, 1001]],
  ["drawn by chance, and short", false, [7]],
  ["drawn by rank", true, [40, 1001]],
  ["drawn by rank, rows of a few elements", true, [300, 5]],
])("masks that are kept between passes are those that would be drawn again: %s", (_, byRank, shape) => {
  const built = program(2, (inputs) => {
    const kept = inputs.map((x, stream) => {
      const chance = byRank ? x.rankInRow().times(0.6).plus(0.2) : 0.5;
      return where(x.uniform(stream).isBelow(chance), x, 0);
    });
    const total = sum(kept).abs().sumOver("tensor");
    return sum(kept).over(total).times(first(inputs).kthMagnitude("tensor", 3));
  });
  expect(rememberedMasks(built)).toHaveLength(2);
  const random = seeded(5);
  const elements = shape.reduce((product, dimension) => product * dimension, 1);
  const inputs = [normals(elements, random), normals(elements, random)];
  const given = { program: built, inputs, shape, seed: 4 };
  expectSameBits(given);
  // Without room for masks they are drawn again.
  expect(Buffer.from(runCompiled(given, new Forgetful(64 << 20)).bytes)).toEqual(Buffer.from(runCompiled(given).bytes));
});

const several: Record<string, (a: Expression, b: Expression) => Expression> = {
  "of one stream": (a, b) => {
    const kept = where(a.uniform(0).isBelow(0.3), a, where(a.uniform(0).isBelow(0.6), b, 0));
    return kept.over(kept.abs().sumOver("tensor"));
  },
  "one of which is needed by the last pass alone": (a, b) => {
    const late = where(a.uniform(0).isBelow(0.3), b, 0);
    const kept = where(b.uniform(1).isBelow(0.5), a, 0);
    return late.plus(kept).over(kept.abs().sumOver("tensor"));
  },
  "one of which says how likely another is": (a, b) => {
    const isKept = a.uniform(0).isBelow(b.rankInRow());
    const kept = where(isKept, a, 0);
    const isLate = b.uniform(1).isBelow(where(isKept, 0.9, 0.3));
    return where(isLate, b, kept).over(kept.abs().sumOver("tensor"));
  },
  "and ranks of what one of them keeps": (a, b) => {
    const kept = where(a.uniform(0).isBelow(b.rankInRow()), a, 0);
    return kept.rankInRow().plus(kept.over(kept.abs().sumOver("tensor")));
  },
};

test.each(Object.keys(several))("several masks between passes, %s, give the interpreter's bits", (name) => {
  const build = several[name] as (a: Expression, b: Expression) => Expression;
  const built = program(2, (inputs) => build(first(inputs), second(inputs)));
  const random = seeded(8);
  for (const [rows, columns] of [
    [1, 40],
    [3, 13],
    [9, 33],
  ] as const) {
    const inputs = [normals(rows * columns, random), normals(rows * columns, random)];
    expectSameBits({ program: built, inputs, shape: [rows, columns], seed: 6 });
  }
});

test("a stream of random numbers that a program names twice leaves the others as they are", () => {
  const uniform = (value: number) => ({ op: "uniform", args: [], value }) as const;
  const add = (...args: number[]) => ({ op: "add", args, value: 0 }) as const;
  const nodes = [
    { op: "input", args: [], value: 0 },
    uniform(0),
    uniform(0),
    uniform(1),
    add(1, 2),
    add(4, 3),
    add(5, 0),
  ] as const;
  expectSameBits({ program: { nodes, output: 6, inputs: 1, parameters: [] }, inputs: [normals(40, seeded(2))] });
});

test("what kernels write behind the last element of a tile is nobody's", () => {
  const built = program(1, (inputs) => {
    const kept = where(first(inputs).uniform(0).isBelow(0.5), first(inputs), 0);
    return kept.minus(kept.sumOver("row"));
  });
  // Two tiles, in which rows are drawn twice each.
  const inputs = [normals(2_000 * 33, seeded(4))];
  expectSameBits({ program: built, inputs, shape: [2_000, 33], dtypes: ["F64"], outputDtype: "F64" });
});

test("random programs give the interpreter's bits", () => {
  for (let seed = 0; seed < 1000; seed += 1) {
    const random = seeded(seed);
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
    const models = 1 + Math.floor(random() * 4);
    const built = program(models, (inputs, graph) => {
      const values: Expression[] = [...inputs, graph.parameter("p"), graph.constant(pick([0, 1, -0.5, 1e-3]))];
      // No program has both row and column values.
      const excluded = random() < 0.2 ? /countOver|scalarsOnly|row|rank/i : /countOver|scalarsOnly|column/i;
      const names = Object.keys(operators).filter((name) => !excluded.test(name));
      for (let step = 0; step < 6; step += 1) {
        values.push(
          (operators[pick(names)] as (a: Expression, b: Expression) => Expression)(pick(values), pick(values)),
        );
      }
      return inputs.reduce((total, input) => total.plus(input), values.at(-1) as Expression);
    });
    const shape = pick(shapes);
    const elements = shape.reduce((product, dimension) => product * dimension, 1);
    const wild = random() < 0.3;
    const make = () => (wild ? wildValues(elements, random) : normals(elements, random));
    const dtypes = Array.from({ length: models }, () => pick(computableDtypes));
    const inputs = Array.from({ length: models }, make);
    expectSameBits({
      program: built,
      inputs,
      shape,
      dtypes,
      outputDtype: pick(computableDtypes),
      parameters: [0.7],
      seed,
    });
  }
});

test("a receipt counts what is not finite, in the output and in each input, and what overflows the output dtype", () => {
  const built = program(2, (inputs) => first(inputs).plus(second(inputs)));
  const a = Float32Array.of(1, Number.NaN, Infinity, 70_000, 65_519, 65_520, 2, 3, 4, 5, -9);
  const b = Float32Array.of(1, 0, 0, 0, 0, 0, -Infinity, 0, 0, 0, 0);
  const { piece } = runCompiled({ program: built, inputs: [a, b], outputDtype: "F16" });
  expect(piece).toMatchObject({ nonFinite: 3, overflowed: 2, largest: Infinity, inputsNonFinite: [2, 1], bytes: 22 });
});
