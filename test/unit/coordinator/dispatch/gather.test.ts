import { expect, test } from "vitest";
import type { StatisticsEntry } from "../../../../coordinator/assemble/journal-records.js";
import { gatherStatistics } from "../../../../coordinator/dispatch/gather.js";
import type { PartialResult } from "../../../../coordinator/dispatch/partials-check.js";
import type { Statistics } from "../../../../coordinator/dispatch/request.js";
import type { Plan, Unit } from "../../../../coordinator/plan/types.js";
import { Graph } from "../../../../shared/expression/expression.js";
import { gatherPass, interpret } from "../../../../shared/expression/interpret.js";
import { schedule } from "../../../../shared/expression/passes.js";
import type { Program } from "../../../../shared/expression/program.js";
import { blockElements, concatenate } from "../../../../shared/expression/statistics.js";
import { fakePlan } from "../../../support/dispatch.js";
import { normals, seeded } from "../../../support/random.js";

const random = seeded(11);
const sizes = [150_000, 10, 70_000, 0, 65_536];
const data = sizes.map((size) => normals(size, random));
const modelElements = sizes.reduce((total, size) => total + size, 0);

/** Trims by a rank over the whole model, and rescales by sums of tensor and of model, before and after. */
function modelwide(): Program {
  const graph = new Graph();
  const x = graph.input();
  const kept = x
    .abs()
    .isAtLeast(x.kthMagnitude("model", graph.count("model").times(graph.parameter("density"))))
    .choose(x, 0);
  const scale = x.abs().sumOver("tensor").over(kept.abs().sumOver("model")).atMost(x.largestOver("model"));
  return graph.finish(kept.times(scale).plus(kept.largestOver("tensor")));
}

function tensorwide(): Program {
  const graph = new Graph();
  const x = graph.input();
  const kept = x
    .abs()
    .isAtLeast(x.kthMagnitude("tensor", graph.count("tensor").times(graph.parameter("density"))))
    .choose(x, 0);
  return graph.finish(kept.times(kept.sumOver("tensor")));
}

function planOf(program: Program): Plan {
  const plan = fakePlan(sizes.map((elements, i) => ({ name: `t${i}`, elements })));
  const tensors = plan.tensors.map((tensor) => ({ ...tensor, parameters: [0.2], inputs: tensor.inputs.slice(0, 1) }));
  return { ...plan, programs: [program], tensors };
}

/** Units of pieces of at most `blocks` blocks, two pieces to a unit. */
function cut(blocks: number): readonly Unit[] {
  const pieces = sizes.flatMap((size, tensor) => {
    const step = blocks * blockElements;
    const count = Math.max(1, Math.ceil(size / step));
    return Array.from({ length: count }, (_, i) => ({ tensor, begin: i * step, end: Math.min(size, (i + 1) * step) }));
  });
  return Array.from({ length: Math.ceil(pieces.length / 2) }, (_, id) => {
    return { id, pieces: pieces.slice(2 * id, 2 * id + 2), bytesRead: 0, bytesWritten: 0 };
  });
}

/** Does what an agent does for one gathering unit, slowly. */
function gatherUnit(plan: Plan, pass: number, unit: Unit, statistics: Statistics): PartialResult[] {
  const program = plan.programs[0] as Program;
  const gathers = schedule(program).statistics[pass]?.gathers ?? [];
  const results: PartialResult[] = [];
  const found = unit.pieces.map(({ tensor, begin, end }) => {
    const values = (data[tensor] as Float32Array).subarray(begin, end);
    // The interpreter counts a piece as a tensor, so a rank relative to the tensor must not be asked of it here.
    return gatherPass(
      program,
      { inputs: [values], parameters: [0.2], modelElements },
      pass,
      statistics.get(tensor) ?? [],
    );
  });
  gathers.forEach((gather, place) => {
    const parts = found.map((partials) => partials[place]).filter((partial) => partial !== undefined);
    const mergesPieces = gather.scope === "model" && gather.kind !== "sum";
    const groups = mergesPieces
      ? [{ piece: undefined, parts }]
      : parts.map((part, piece) => ({ piece, parts: [part] }));
    for (const { piece, parts: group } of groups) {
      const merged = concatenate(gather.kind, group);
      if (merged.kind === "sum") results.push({ gather: place, piece, kind: "sum", blocks: [...merged.blocks] });
      else if (merged.kind === "largest") results.push({ gather: place, piece, ...merged });
      else {
        const bins = [...merged.counts.keys()].filter((bin) => merged.counts[bin] !== 0);
        results.push({
          gather: place,
          piece,
          kind: merged.kind,
          bins,
          counts: bins.map((bin) => merged.counts[bin] ?? 0),
        });
      }
    }
  });
  return results;
}

interface Run {
  readonly statistics: Map<number, number[]>;
  readonly entries: Map<number, readonly StatisticsEntry[]>;
  readonly unitsRun: number;
}

async function gather(
  plan: Plan,
  blocks: number,
  options: {
    reverse?: boolean;
    tensors?: readonly number[];
    known?: ReadonlyMap<number, readonly StatisticsEntry[]>;
  } = {},
): Promise<Run> {
  const entries = new Map<number, readonly StatisticsEntry[]>();
  let unitsRun = 0;
  const statistics = await gatherStatistics({
    plan,
    tensors: new Set(options.tensors ?? plan.tensors.keys()),
    unitsOf: () => cut(blocks),
    async *run(pass, units, known) {
      for (const unit of options.reverse === true ? units.toReversed() : units) {
        unitsRun += 1;
        yield { unit, partials: gatherUnit(plan, pass, unit, known) };
      }
    },
    ...(options.known === undefined ? {} : { known: options.known }),
    onPass: (pass, found) => void entries.set(pass, found),
  });
  return { statistics, entries, unitsRun };
}

test("gatherStatistics() finds the k-th magnitude of the whole model", async () => {
  const { statistics } = await gather(planOf(modelwide()), 1);
  const plan = schedule(modelwide());
  const slot = plan.statistics[1]?.gathers.find(({ kind }) => kind === "lowerBits")?.slot ?? -1;
  const magnitudes = data.flatMap((values) => [...values].map(Math.abs)).sort((a, b) => b - a);
  const expected = magnitudes[Math.floor(0.2 * modelElements) - 1];
  for (const tensor of sizes.keys()) expect(statistics.get(tensor)?.[slot]).toBe(expected);
});

test("gatherStatistics() gives the same bits however the work is cut and in whatever order it comes", async () => {
  const plan = planOf(modelwide());
  const one = await gather(plan, 1);
  expect((await gather(plan, 2, { reverse: true })).statistics).toEqual(one.statistics);
  expect((await gather(plan, 100)).statistics).toEqual(one.statistics);
});

test("gatherStatistics() gives a cut tensor what an agent would find for it alone", async () => {
  const graph = new Graph();
  const x = graph.input();
  const kept = x.abs().isAtLeast(x.kthMagnitude("tensor", 7_777)).choose(x, 0);
  const program = graph.finish(kept.times(kept.sumOver("tensor")).plus(x.largestOver("tensor")));
  const { statistics } = await gather(planOf(program), 1);
  for (const [tensor, values] of data.entries()) {
    const alone = interpret(program, { inputs: [values], parameters: [0.2] });
    const given = { inputs: [values], parameters: [0.2], statistics: statistics.get(tensor) ?? [] };
    expect(interpret(program, given)).toEqual(alone);
  }
});

test("gatherStatistics() finds the k-th largest of a cut tensor, its sign included", async () => {
  const graph = new Graph();
  const x = graph.input();
  const k = graph.count("tensor").times(0.9).floor();
  const program = graph.finish(x.minus(x.kthLargest("tensor", k)));
  const one = await gather(planOf(program), 1);
  expect((await gather(planOf(program), 2, { reverse: true })).statistics).toEqual(one.statistics);
  const slot = schedule(program).statistics[1]?.gathers[0]?.slot ?? -1;
  for (const [tensor, values] of data.entries()) {
    const sorted = [...values].sort((a, b) => b - a);
    const expected = sorted[Math.floor(0.9 * values.length) - 1] ?? Infinity;
    if (values.length > 0) expect(expected).toBeLessThan(0);
    expect(one.statistics.get(tensor)?.[slot]).toBe(expected);
  }
});

test("gatherStatistics() counts a cut tensor's elements, not its pieces'", async () => {
  const { statistics } = await gather(planOf(tensorwide()), 1, { tensors: [0, 2] });
  expect([...statistics.keys()]).toEqual([0, 2]);
  const sorted = [...(data[0] ?? [])].map(Math.abs).sort((a, b) => b - a);
  expect(statistics.get(0)?.[2]).toBe(sorted[Math.floor(0.2 * 150_000) - 1]);
});

test("gatherStatistics() does not repeat what earlier runs have found", async () => {
  const plan = planOf(modelwide());
  const { statistics, entries, unitsRun } = await gather(plan, 1);
  const nothing = await gather(plan, 1, { known: entries });
  expect(nothing).toMatchObject({ statistics, unitsRun: 0 });

  const rest = await gather(plan, 1, { known: new Map([[0, entries.get(0) ?? []]]) });
  expect(rest.statistics).toEqual(statistics);
  expect(rest.unitsRun).toBeLessThan(unitsRun);
  expect([...rest.entries.keys()]).not.toContain(0);
});

test("gatherStatistics() gathers again only the tensors that lack a statistic of their own", async () => {
  const plan = planOf(modelwide());
  const { statistics, entries } = await gather(plan, 1);
  const known = new Map([...entries].map(([pass, list]) => [pass, list.filter(({ tensor }) => tensor !== 2)]));
  const rest = await gather(plan, 1, { known });
  expect(rest.statistics).toEqual(statistics);
  expect(new Set([...rest.entries.values()].flat().map(({ tensor }) => tensor))).toEqual(new Set([2]));
});

test("gatherStatistics() runs one program per unit", async () => {
  const plan = planOf(modelwide());
  const other = { ...plan, programs: [modelwide(), tensorwide()] };
  const tensors = plan.tensors.map((tensor, i) => ({ ...tensor, program: i % 2 }));
  const seen: number[][] = [];
  const done = gatherStatistics({
    plan: { ...other, tensors },
    tensors: new Set(tensors.keys()),
    unitsOf: () => cut(1),
    async *run(_, units) {
      seen.push(...units.map(({ pieces }) => [...new Set(pieces.map(({ tensor }) => tensor % 2))]));
      expect(units.map(({ id }) => id)).toEqual([...units.keys()]);
      throw new Error("seen");
    },
  });
  await expect(done).rejects.toThrow("seen");
  expect(seen.every((programs) => programs.length === 1)).toBe(true);
  expect(seen.length).toBeGreaterThan(cut(1).length);
});

test("gatherStatistics() fails when its units do not cover a tensor", async () => {
  const plan = planOf(modelwide());
  const done = gatherStatistics({
    plan,
    tensors: new Set(plan.tensors.keys()),
    unitsOf: () => cut(1).slice(1),
    async *run(pass, units, known) {
      for (const unit of units) yield { unit, partials: gatherUnit(plan, pass, unit, known) };
    },
  });
  await expect(done).rejects.toThrow('Statistics of "t0" cover 18928 of 150000 elements');
});
