import { expect, test } from "vitest";
import { TileMemory } from "../../../node-agent/compute/wasm/memory.js";
import { PieceRun } from "../../../node-agent/piece.js";
import { Graph } from "../../../shared/expression/expression.js";
import { rememberedMasks } from "../../../shared/expression/remembered.js";
import { blockElements } from "../../../shared/expression/statistics.js";
import { runCompiled, runInterpreted } from "../../support/pieces.js";
import { normals, seeded } from "../../support/random.js";

const limits = [0, -0, 1, 0.5, 2 ** -24, 2 ** -25, 1 - 2 ** -24, -1, 2, 1e30, -1e30, Infinity, -Infinity, Number.NaN];

test.each([
  ["one stream", 1],
  ["three streams", 3],
])("what is drawn below a number is what the interpreter draws below it: %s", (_, streams) => {
  const graph = new Graph();
  const input = graph.input();
  const limit = graph.parameter("limit");
  const drawn = Array.from({ length: streams }, (_, s) =>
    input
      .uniform(s)
      .isBelow(limit)
      .choose(2 ** s, 0),
  );
  const program = graph.finish(drawn.reduce((sum, x) => sum.plus(x)));
  // A mask by itself, in one pass.
  expect(rememberedMasks(program)).toHaveLength(streams);
  for (const value of limits) {
    const given = { program, inputs: [new Float32Array(101)], parameters: [value] };
    expect(Buffer.from(runCompiled(given).bytes), `${value}`).toEqual(Buffer.from(runInterpreted(given)));
  }
});

/** A sum over the tensor comes before what needs it, so there are two passes. */
function normalized() {
  const graph = new Graph();
  const input = graph.input();
  return graph.finish(input.over(input.abs().sumOver("tensor")));
}

const elements = 11 * blockElements + 11;
const values = normals(elements, seeded(3));
const expected = runInterpreted({ program: normalized(), inputs: [values] });

test.each([
  ["what fits is kept, and read once", 64 << 20, 1],
  ["blocks that have no room are read again, to the same bytes", 5.3 * 2 ** 20, 1 + (blockElements + 11) / elements],
  ["nothing is kept where room is scarce", 4 << 20, 2],
])("between passes, %s", (_, budget, passes) => {
  const stored = new Uint8Array(values.buffer);
  let bytesRead = 0;
  const read = (_file: number, into: Uint8Array, position: number): void => {
    bytesRead += into.length;
    into.set(stored.subarray(position, position + into.length));
  };
  const program = normalized();
  const input = { file: 0, offset: 0, dtype: "F32" } as const;
  const run = new PieceRun(
    {
      ...{ tensor: "t", program, shape: [elements], begin: 0, end: elements, inputs: [input], parameters: [] },
      ...{ statistics: [], modelElements: elements, outputDtype: "F32", seed: 0 },
    },
    { memory: new TileMemory(budget), kernels: new Map(), read, progress: () => undefined },
  );
  run.gatherAll();
  const written: Uint8Array[] = [];
  run.map((bytes) => written.push(Uint8Array.from(bytes)));
  expect(Buffer.concat(written).equals(expected)).toBe(true);
  expect(bytesRead / stored.length).toBeCloseTo(passes, 6);
});

test("a worker that has run many programs does not keep them all compiled", () => {
  const environment = { memory: new TileMemory(2 << 20), kernels: new Map(), progress: () => undefined };
  const inputs = [{ file: 0, offset: 0, dtype: "F32" }] as const;
  const size = { shape: [1], begin: 0, end: 1, modelElements: 1 };
  for (let factor = 0; factor < 600; factor += 1) {
    const graph = new Graph();
    const program = graph.finish(graph.input().times(factor));
    const given = {
      tensor: "t",
      program,
      inputs,
      parameters: [],
      statistics: [],
      outputDtype: "F32",
      seed: 0,
    } as const;
    const read = (_: number, into: Uint8Array): void => into.set(new Uint8Array(Float32Array.of(1).buffer));
    const run = new PieceRun({ ...given, ...size }, { ...environment, read });
    run.map((bytes) => expect(new Float32Array(Uint8Array.from(bytes).buffer)).toEqual(Float32Array.of(factor)));
  }
  expect(environment.kernels.size).toBeLessThan(600);
});
