import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connectAgents } from "../../../coordinator/dispatch/agents.js";
import { dispatch } from "../../../coordinator/dispatch/dispatcher.js";
import type { Unit, UnitPiece } from "../../../coordinator/plan/types.js";
import { runAgent } from "../../../node-agent/main.js";
import { blockElements } from "../../../shared/expression/statistics.js";
import { expectedTensor, planDerived } from "../../support/derived-plan.js";
import { collect, memorySink, runner, streamed, temporaryFolder } from "../../support/dispatch.js";
import { runPlan } from "../../support/run-plan.js";

// Inputs that are put together while they are read: a low-rank update, and a row map over tensors with and without one.

/** A real agent with real workers, and a plan over files that it may read. */
async function start() {
  const folder = await temporaryFolder();
  const agent = await runAgent({ roots: [folder.path], slots: 2 });
  const agents = await connectAgents([agent.address]);
  return {
    folder,
    agents,
    plan: await planDerived(folder.path),
    async [Symbol.asyncDispose]() {
      for (const one of [agents, agent, folder]) await one[Symbol.asyncDispose]();
    },
  };
}

function unitOf(id: number, ...pieces: UnitPiece[]): Unit {
  return { id, pieces, bytesRead: 0, bytesWritten: 0 };
}

const sizes = [40 * 53, 600 * 301, 30 * 70] as const;
const wholeTensor = (tensor: number): UnitPiece => ({ tensor, begin: 0, end: sizes[tensor] ?? 0 });
const whole = [unitOf(0, wholeTensor(0), wholeTensor(1), wholeTensor(2))];
/** The embedding in three, cut in the middle of rows. */
const cut = [
  unitOf(0, wholeTensor(2), wholeTensor(0)),
  ...[0, 1, 2].map((i) => {
    return unitOf(i + 1, { tensor: 1, begin: i * blockElements, end: Math.min(sizes[1], (i + 1) * blockElements) });
  }),
];

test.each([
  ["one unit", whole],
  ["pieces that end within rows", cut],
])("an agent streams what the reference computes, from %s", async (_, units) => {
  await using given = await start();
  const { plan, agents } = given;
  const sink = memorySink(plan);
  const results = await collect(dispatch(units, { agents, run: runner(plan, streamed, { sink }) }));
  for (const [place, { offset, bytes }] of plan.tensors.entries()) {
    const got = sink.bytes.subarray(offset, offset + bytes);
    expect(Buffer.compare(got, expectedTensor(plan, place)), `tensor ${place}`).toBe(0);
  }
  const nonFinite = results.flatMap(({ receipts }) => receipts.flatMap(({ inputsNonFinite }) => inputsNonFinite));
  expect(nonFinite.filter((count) => count === 0)).toHaveLength(
    units.flatMap(({ pieces }) => pieces).reduce((n, { tensor }) => n + (plan.tensors[tensor]?.inputs.length ?? 0), 0),
  );
});

test("an agent writes the same bytes into a staged file, and counts what it read", async () => {
  await using given = await start();
  const { plan, agents, folder } = given;
  const path = join(folder.path, "staged");
  await writeFile(path, new Uint8Array(plan.files[0]?.bytes ?? 0));
  const run = runner(plan, { kind: "write", paths: [path] });
  const [result] = await collect(dispatch(whole, { agents, run }));
  const written = await readFile(path);
  for (const [place, { offset, bytes }] of plan.tensors.entries()) {
    const got = written.subarray(offset, offset + bytes);
    expect(Buffer.compare(got, expectedTensor(plan, place)), `tensor ${place}`).toBe(0);
  }
  // The first tensor in each of two passes, and the third one.
  const updated = 2 * (2 * 40 * 53 * 2 + 6 * 53 * 4 + 40 * 6 * 4) + 30 * 70 * 2 + 4 * 30 * 4 + 70 * 4 * 4;
  // Plain rows; runs; the rows of both combinations.
  const rows = (600 + 217 + 300 + 3 + 1 + 500) * 2;
  // The second tensor's A; its B for 300 rows and for 3, and once more for the row that two tiles share.
  const factors = 2 * 301 * 4 + (300 + 3 + 1) * 2 * 2;
  expect(result?.bytesRead).toBe(updated + rows * 301 + factors);
});

test("the plan runner of the conformance tests agrees", async () => {
  await using folder = await temporaryFolder();
  const plan = await planDerived(folder.path);
  const outputs = runPlan(plan);
  plan.tensors.forEach(({ name }, place) => {
    expect(Buffer.compare(outputs.get(name) ?? new Uint8Array(), expectedTensor(plan, place)), name).toBe(0);
  });
});
