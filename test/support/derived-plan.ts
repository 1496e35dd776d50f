import { readFileSync } from "node:fs";
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Plan, PlannedInput, PlannedTensor, StoredTensor } from "../../coordinator/plan/types.js";
import { narrow } from "../../shared/checkpoint/convert.js";
import { type ComputableDtype, dtypeBits } from "../../shared/checkpoint/dtypes.js";
import type { RowSegment } from "../../shared/checkpoint/row-segments.js";
import { Graph } from "../../shared/expression/expression.js";
import { interpret } from "../../shared/expression/interpret.js";
import { randomKey } from "../../shared/expression/random.js";
import { derivedInput } from "./derived-inputs.js";
import { fakePlan } from "./dispatch.js";
import { normals, seeded } from "./random.js";
import { MemoryFile } from "./readers.js";

const [vocabulary, columns] = [600, 301];

/** A vocabulary in another order: most rows from one tensor, some from another, averages, and rows of nothing. */
const segments: readonly RowSegment[] = [
  { kind: "run", count: 217, tensor: 0, row: 100 },
  {
    kind: "combination",
    count: 2,
    terms: [
      { tensor: 1, row: 5, rows: 3, weight: 0.25 },
      { tensor: 0, row: 9, rows: 1, weight: 0.25 },
    ],
  },
  { kind: "zero", count: 1 },
  { kind: "run", count: 300, tensor: 1, row: 0 },
  { kind: "combination", count: 80, terms: [{ tensor: 0, row: 0, rows: 500, weight: 1 / 500 }] },
];

/**
 * A plan over real files in `folder`: a plain tensor and one with an update over the sum of the
 * latter; a plain tensor with some noise
 * times a row map, whose random numbers are those of another tensor; and a tensor with an update, and nothing else.
 */
export async function planDerived(folder: string): Promise<Plan> {
  const files = [new MemoryFile(), new MemoryFile(), new MemoryFile()] as const;
  const random = seeded(11);
  const add = (file: MemoryFile, count: number, dtype: ComputableDtype): StoredTensor => ({
    ...file.add(normals(count, random), dtype),
    source: files.indexOf(file),
  });
  const inputs: readonly (readonly PlannedInput[])[] = [
    [
      { ...add(files[0], 40 * 53, "BF16"), model: 0 },
      {
        ...add(files[1], 40 * 53, "BF16"),
        model: 1,
        updates: [update(add(files[2], 6 * 53, "F32"), add(files[2], 40 * 6, "F32"), 6)],
      },
    ],
    [{ ...add(files[0], vocabulary * columns, "BF16"), model: 0 }, rowMapped(add, files)],
    [
      {
        ...add(files[1], 30 * 70, "BF16"),
        model: 1,
        updates: [{ ...update(add(files[2], 4 * 30, "F32"), add(files[2], 70 * 4, "F32"), 4), transposed: true }],
      },
    ],
  ];
  const shapes = [
    [40, 53],
    [vocabulary, columns],
    [30, 70],
  ];
  const names = ["proj.weight", "embed.weight", "conv.weight"];
  const base = fakePlan(names.map((name, i) => ({ name, elements: product(shapes[i] ?? []) })));
  const tensors = base.tensors.map((tensor, i): PlannedTensor => {
    const randomStreams = [{ seed: 99, tensor: "another.weight", stream: 3 }];
    const planned = { ...tensor, shape: shapes[i] ?? [], inputs: inputs[i] ?? [], program: i };
    return i === 1 ? { ...planned, randomStreams } : planned;
  });
  const sources = await Promise.all(
    files.map(async ({ bytes }, model) => {
      const path = join(folder, `model-${model}`);
      await writeFile(path, bytes);
      const { size, mtimeMs } = await stat(path);
      return { model, name: `model-${model}`, path, bytes: size, headerSha256: "", modifiedMs: mtimeMs };
    }),
  );
  return { ...base, programs: [normedProgram(), noiseProgram(), copyProgram()], tensors, sources };
}

/** What the plan's tensor must be, by the slow way. */
export function expectedTensor(plan: Plan, place: number): Uint8Array {
  const tensor = plan.tensors[place];
  const program = plan.programs[tensor?.program ?? -1];
  if (tensor === undefined || program === undefined) throw new RangeError(`No tensor ${place}`);
  const read = ({ source, offset, dtype }: StoredTensor, elements: number): Uint8Array => {
    const file = readFileSync(plan.sources[source]?.path ?? "");
    return file.subarray(offset, offset + (elements * dtypeBits(dtype)) / 8);
  };
  const values = interpret(program, {
    inputs: tensor.inputs.map((input) => derivedInput(input, tensor.shape, read)),
    parameters: tensor.parameters,
    rowElements: tensor.shape.at(-1) ?? 1,
    keys: (tensor.randomStreams ?? []).map(({ seed, tensor, stream }) => randomKey(seed, tensor, stream)),
  });
  return narrow("BF16", Float32Array.from(values));
}

function rowMapped(
  add: (file: MemoryFile, count: number, dtype: ComputableDtype) => StoredTensor,
  files: readonly [MemoryFile, MemoryFile, MemoryFile],
): PlannedInput {
  const first = { ...add(files[1], 500 * columns, "BF16"), rows: 500 };
  const second = add(files[2], 300 * columns, "F16");
  const updates = [update(add(files[2], 2 * columns, "F32"), add(files[2], 300 * 2, "BF16"), 2)];
  const tensors = [first, { ...second, rows: 300, updates }];
  return { ...first, model: 1, rows: { tensors, columns, segments } };
}

function update(a: StoredTensor, b: StoredTensor, rank: number) {
  return { a, b, rank, scale: 0.7, transposed: false };
}

/** Reads its inputs twice: for the sum, then for the output. */
function normedProgram() {
  const graph = new Graph();
  const [x, y] = [graph.input(), graph.input()];
  return graph.finish(x.plus(y).over(y.abs().sumOver("tensor")));
}

function copyProgram() {
  const graph = new Graph();
  return graph.finish(graph.input());
}

function noiseProgram() {
  const graph = new Graph();
  const [x, y] = [graph.input(), graph.input()];
  return graph.finish(x.plus(y.times(graph.uniform(0))));
}

function product(shape: readonly number[]): number {
  return shape.reduce((total, dimension) => total * dimension, 1);
}
