import { expect, test } from "vitest";
import type { Kernel } from "../../node-agent/compute/wasm/kernel.js";
import { TileMemory } from "../../node-agent/compute/wasm/memory.js";
import { PieceRun, type PieceTask } from "../../node-agent/piece.js";
import { blockOf, divisionOf } from "../../shared/expression/division.js";
import { type Expression, Graph, where } from "../../shared/expression/expression.js";
import { schedule } from "../../shared/expression/passes.js";
import type { Program } from "../../shared/expression/program.js";
import { countsOf, Scalars } from "../../shared/expression/scalars.js";
import { concatenate, type Partial } from "../../shared/expression/statistics.js";
import { runCompiled, tensorName } from "../support/pieces.js";
import { normals, seeded } from "../support/random.js";

function program(build: (a: Expression, b: Expression) => Expression): Program {
  const graph = new Graph();
  return graph.finish(build(graph.input(), graph.input()));
}

/** Runs a tensor in pieces of `step` elements, their statistics merged as the coordinator merges them. */
function runCut(given: Program, inputs: readonly Float32Array[], shape: readonly number[], step: number): Uint8Array {
  const division = divisionOf(shape);
  const { elements } = division;
  const memory = new TileMemory(64 << 20);
  const kernels = new Map<string, Kernel>();
  const plan = schedule(given);
  const scalars = new Scalars(given, plan, { parameters: [], counts: countsOf(division, elements) });
  const pieceAt = (begin: number): PieceRun => {
    const task: PieceTask = {
      tensor: tensorName,
      program: given,
      shape,
      begin,
      end: Math.min(elements, begin + step),
      inputs: inputs.map((_, file) => ({ file, offset: 0, dtype: "F32" })),
      parameters: [],
      statistics: [...scalars.statistics],
      modelElements: elements,
      outputDtype: "F32",
      seed: 0,
    };
    return new PieceRun(task, {
      memory,
      kernels,
      progress: () => undefined,
      read: (file, into, position) => {
        const bytes = new Uint8Array(inputs[file]?.buffer ?? new ArrayBuffer());
        into.set(bytes.subarray(position, position + into.length));
      },
    });
  };
  const begins = Array.from({ length: Math.ceil(elements / step) }, (_, i) => i * step);
  plan.statistics.forEach(({ gathers }, pass) => {
    const found = begins.map((begin) => pieceAt(begin).gather(pass));
    const merge = (place: number): Partial[] => found.flatMap((partials) => partials.slice(place, place + 1));
    scalars.finishPass(
      pass,
      gathers.map(({ kind }, place) => concatenate(kind, merge(place))),
    );
  });
  const output: Uint8Array[] = [];
  const keep = (bytes: Uint8Array): void => {
    output.push(Uint8Array.from(bytes));
  };
  for (const begin of begins) pieceAt(begin).map(keep);
  return Buffer.concat(output);
}

test.each<[string, (a: Expression, b: Expression) => Expression]>([
  ["an order statistic of signed elements", (a, b) => where(a.isBelow(b.kthLargest("tensor", 70_000)), a.exp(), b)],
  ["ranks in rows and what is summed of them", (a, b) => a.over(b.rankInRow().times(b).sumOver("tensor"))],
  [
    "random choices by rank, over rows",
    (a, b) => where(a.uniform(0).isBelow(b.minus(b.largestOver("row")).rankInRow()), a.abs().log(), 0),
  ],
  ["a rank and an order statistic of it", (a, b) => a.times(b.rankInRow().kthLargest("tensor", 999)).plus(b)],
])("a tensor in pieces has the bits of the whole: %s", (_, build) => {
  const random = seeded(3);
  const shape = [500, 301];
  const inputs = [normals(500 * 301, random), normals(500 * 301, random)];
  const given = program(build);
  const whole = Buffer.from(runCompiled({ program: given, inputs, shape }).bytes);
  const grain = blockOf(schedule(given), divisionOf(shape));
  for (const step of [grain, 2 * grain, 500 * 301]) {
    expect(Buffer.from(runCut(given, inputs, shape, step)).equals(whole), `pieces of ${step} elements`).toBe(true);
  }
});

test("a piece of a tensor whose columns are summed is refused", () => {
  const given = program((a, b) => a.minus(b.sumOver("column")));
  const inputs = [new Float32Array(12), new Float32Array(12)];
  expect(() => runCut(given, inputs, [4, 3], 6)).toThrow("the piece has only elements [0, 6) of 12");
});

test("a row that does not fit the worker's memory is refused before anything is read", () => {
  const given = program((a, b) => a.times(b.rankInRow()));
  const inputs = [new Float32Array(1), new Float32Array(1)];
  expect(() => runCut(given, inputs, [2 ** 31], 2 ** 31)).toThrow(/Cannot hold .* raise --memory or lower --slots/);
});
