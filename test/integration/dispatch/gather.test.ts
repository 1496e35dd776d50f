import { createHash } from "node:crypto";
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Agents, connectAgents } from "../../../coordinator/dispatch/agents.js";
import { runAttempt } from "../../../coordinator/dispatch/attempt.js";
import { dispatch } from "../../../coordinator/dispatch/dispatcher.js";
import { gatherStatistics } from "../../../coordinator/dispatch/gather.js";
import { createRequestBuilder } from "../../../coordinator/dispatch/request.js";
import type { Plan, Unit, UnitPiece } from "../../../coordinator/plan/types.js";
import { runAgent } from "../../../node-agent/main.js";
import { narrow } from "../../../shared/checkpoint/convert.js";
import { Graph } from "../../../shared/expression/expression.js";
import { blockElements } from "../../../shared/expression/statistics.js";
import { fakePlan, memorySink, temporaryFolder } from "../../support/dispatch.js";
import { normals, seeded } from "../../support/random.js";

const sizes = [200_000, 500, 70_000];

/** Two models in files, merged by trimming over the whole model and rescaling by each tensor's sums. */
async function planIn(folder: string): Promise<Plan> {
  const graph = new Graph();
  const [base, other] = [graph.input(), graph.input()];
  const delta = other.minus(base);
  const kept = delta
    .abs()
    .isAtLeast(delta.kthMagnitude("model", graph.count("model").times(0.3)))
    .choose(delta, 0);
  const scale = delta.abs().sumOver("tensor").over(kept.abs().sumOver("tensor"));
  const plan = fakePlan(sizes.map((elements, i) => ({ name: `t${i}`, elements })));
  const sources = await Promise.all(
    plan.sources.map(async (source, model) => {
      const random = seeded(model);
      const path = join(folder, `model-${model}`);
      const values = sizes.map((size) => narrow("BF16", normals(size, random)));
      await writeFile(path, Buffer.concat([new Uint8Array(64), ...values]));
      const { size, mtimeMs } = await stat(path);
      return { ...source, path, bytes: size, modifiedMs: mtimeMs };
    }),
  );
  const tensors = plan.tensors.map((tensor) => ({
    ...tensor,
    inputs: tensor.inputs.map((input) => ({ ...input, offset: tensor.offset })),
  }));
  return { ...plan, programs: [graph.finish(base.plus(kept.times(scale)))], sources, tensors };
}

/** Units of `count` pieces of at most `blocks` blocks. */
function cut(blocks: number, count: number): readonly Unit[] {
  const pieces: UnitPiece[] = [];
  const step = blocks * blockElements;
  sizes.forEach((size, tensor) => {
    for (let begin = 0; begin < size; begin += step) pieces.push({ tensor, begin, end: Math.min(size, begin + step) });
  });
  return Array.from({ length: Math.ceil(pieces.length / count) }, (_, id) => {
    return { id, pieces: pieces.slice(id * count, (id + 1) * count), bytesRead: 0, bytesWritten: 0 };
  });
}

async function mergeWith(agents: Agents, plan: Plan, units: readonly Unit[]): Promise<string> {
  const build = createRequestBuilder(plan, "job");
  const statistics = await gatherStatistics({
    plan,
    tensors: new Set(sizes.keys()),
    unitsOf: () => units,
    run: (pass, gathering, known) =>
      dispatch(gathering, {
        agents,
        order: "given",
        run: ({ unit, agent, epoch, signal }) =>
          runAttempt(agent, build(unit, { epoch, task: { kind: "gather", pass }, statistics: known }), { signal }),
      }),
  });
  const sink = memorySink(plan);
  const results = dispatch(units, {
    agents,
    run: ({ unit, agent, epoch, signal }) =>
      runAttempt(agent, build(unit, { epoch, task: { kind: "stream", chunkBytes: 10_000 }, statistics }), {
        signal,
        sink,
      }),
  });
  for await (const { receipts } of results) expect(receipts.every(({ nonFinite }) => nonFinite === 0)).toBe(true);
  expect(sink.bytes.some((byte) => byte !== 0)).toBe(true);
  return createHash("sha256").update(sink.bytes).digest("hex");
}

test("real agents merge over the whole model to the same bytes, however many they are and however it is cut", async () => {
  await using folder = await temporaryFolder();
  const plan = await planIn(folder.path);
  await using first = await runAgent({ roots: [folder.path], slots: 2, memoryBytes: 1 << 28 });
  await using second = await runAgent({ roots: [folder.path], slots: 1, memoryBytes: 1 << 28 });
  await using one = await connectAgents([first.address]);
  await using two = await connectAgents([first.address, second.address]);
  const whole = await mergeWith(one, plan, cut(100, 100));
  expect(await mergeWith(two, plan, cut(1, 1))).toBe(whole);
  expect(await mergeWith(two, plan, cut(2, 2))).toBe(whole);
});
