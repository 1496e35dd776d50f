import { inflateRawSync } from "node:zlib";
import { expect, test } from "vitest";
import { UnitsModel } from "../../../../coordinator/cluster/units-model.js";
import type { JobAgent } from "../../../../coordinator/job/job-agents.js";
import type { JobEvent } from "../../../../coordinator/job/types.js";
import { type Cell, unpackCells } from "../../../../shared/cluster/cells.js";
import { type UnitsRecord, unitsRecord } from "../../../../shared/cluster/units-record.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { seeded } from "../../../support/random.js";

const cellsOf = ({ cells }: UnitsRecord): readonly Cell[] => unpackCells(inflateRawSync(Buffer.from(cells, "base64")));

function begin(units: number) {
  let now = 0;
  const model = new UnitsModel(() => now, "2026-01-01T00:00:00.000Z");
  type Kind = "started" | "progress" | "finished" | "failed" | "superseded";
  const tell = (type: Kind, id: number, name: string, epoch = 1, more: object = {}): void => {
    const unit = { id, pieces: [], bytesRead: 3e6, bytesWritten: 1e6 };
    const event = { type, unit, agent: { name } as JobAgent, epoch, ...more };
    model.observe({ type: "dispatch", event } as unknown as JobEvent);
  };
  const wait = (ms: number): void => {
    now += ms;
  };
  model.observe({ type: "writing", units, work: 4e6 * units });
  return { model, tell, wait };
}

test("a unit's life is seen in its cell", () => {
  const { model, tell, wait } = begin(3);
  const cell = (): Partial<Cell> => cellsOf(model.record())[1] ?? {};
  expect(cell()).toMatchObject({ state: "waiting", attempts: 0, agent: undefined });
  tell("started", 1, "a");
  expect(cell()).toMatchObject({ state: "running", attempts: 1, agent: 0 });
  const error = new AmalgamError("agent_lost", 'Agent "a" is lost');
  tell("failed", 1, "a", 1, { error, retryMs: 100 });
  expect(cell()).toMatchObject({ state: "waiting", hasFailed: true });
  tell("started", 1, "b", 2);
  tell("started", 1, "c", 3);
  expect(cell()).toMatchObject({ state: "twice", hasFailed: true, attempts: 3 });
  expect(model.record().running.map(({ agent, attempt }) => [agent, attempt])).toEqual([
    ["b", 2],
    ["c", 3],
  ]);
  wait(2_000);
  tell("finished", 1, "b", 2);
  tell("superseded", 1, "c", 3);
  expect(cell()).toMatchObject({ state: "done", hasFailed: true, attempts: 3, agent: 1 });
  expect((cell().milliseconds ?? 0) / 2_000).toBeCloseTo(1, 1);
  expect((cell().bytes ?? 0) / 4e6).toBeCloseTo(1, 1);
  expect(model.record().failures).toEqual([
    { unit: 1, agent: "a", attempt: 1, code: "agent_lost", reason: 'Agent "a" is lost' },
  ]);
  expect(model.record().agents.map(({ name, running }) => [name, running])).toEqual([
    ["a", 0],
    ["b", 0],
    ["c", 0],
  ]);
});

test("an agent that leaves in order has failed at nothing", () => {
  const { model, tell } = begin(1);
  tell("started", 0, "a");
  tell("failed", 0, "a", 1, { error: new AmalgamError("agent_draining", "It leaves"), retryMs: 0 });
  expect(cellsOf(model.record())[0]).toMatchObject({ state: "waiting", hasFailed: false });
  expect(model.record().failures).toEqual([]);
});

test("throughput is counted once, whatever becomes of attempts", () => {
  const { model, tell, wait } = begin(10);
  for (let unit = 0; unit < 5; unit += 1) {
    tell("started", unit, "a");
    wait(500);
    tell("progress", unit, "a", 1, { bytesRead: 1e6, bytesWritten: 0 });
    wait(500);
    tell("finished", unit, "a");
  }
  const { history, bytesPerSecond, agents } = model.record();
  expect(history).toMatchObject({ seconds: 1 });
  expect(history.rates.reduce((sum, rate) => sum + rate, 0)).toBeLessThanOrEqual(20e6);
  expect(bytesPerSecond).toBeGreaterThan(3e6);
  expect(bytesPerSecond).toBeLessThan(5e6);
  expect(agents[0]?.bytesPerSecond).toBe(bytesPerSecond);
});

test("many units share cells, and every one of them counts", () => {
  const { model, tell } = begin(10_000);
  for (let unit = 0; unit < 7; unit += 1) {
    tell("started", unit, "a");
    tell("finished", unit, "a");
  }
  tell("started", 9_999, "a");
  const record = model.record();
  const cells = cellsOf(record);
  expect([record.unitsPerCell, cells.length]).toEqual([5, 2_000]);
  expect([cells[0]?.state, cells[1]?.state, cells[2]?.state, cells.at(-1)?.state]).toEqual([
    "done",
    "partly",
    "waiting",
    "running",
  ]);
});

test("a leader that takes over shows what the journal had", () => {
  const { model } = begin(4);
  const resumed = { keptPieces: 120, keptBytes: 7e9, redonePieces: 0, problem: undefined };
  model.observe({ type: "resumed", resumed } as unknown as JobEvent);
  model.observe({ type: "writing", units: 80, work: 1 });
  expect(model.record()).toMatchObject({ kept: { pieces: 120, bytes: 7e9 }, units: 80, phase: "merging" });
});

test("however much there is to tell, a record is bounded and one that others can read", () => {
  const { model, tell, wait } = begin(100_000);
  const random = seeded(3);
  for (let i = 0; i < 20_000; i += 1) {
    const [unit, agent] = [Math.floor(random() * 100_000), `agent-${"x".repeat(40)}-${Math.floor(random() * 1_000)}`];
    tell("started", unit, agent);
    wait(random() * 20_000);
    const fate = random();
    if (fate < 0.2)
      tell("failed", unit, agent, 1, { error: new AmalgamError("io_failed", "y".repeat(9_000)), retryMs: 1 });
    else if (fate < 0.9) tell("finished", unit, agent);
  }
  const record = model.record();
  const text = JSON.stringify(record);
  expect(text.length).toBeLessThan(64_000);
  expect(unitsRecord.parse(JSON.parse(text))).toEqual(record);
});

test("four thousand units are a few thousand bytes", () => {
  const { model, tell, wait } = begin(4_000);
  const random = seeded(4);
  for (let unit = 0; unit < 3_000; unit += 1) {
    const agent = `gpu-${Math.floor(random() * 16)}`;
    tell("started", unit, agent);
    wait(200 + random() * 900);
    tell("finished", unit, agent);
  }
  expect(JSON.stringify(model.record()).length).toBeLessThan(9_000);
});

test("units of another stage have nothing of those of the stage before", () => {
  const { model, tell } = begin(3);
  const told = (event: unknown): void => model.observe(event as JobEvent);
  told({ type: "resumed", resumed: { keptPieces: 7, keptBytes: 9 } });
  tell("started", 1, "a");
  tell("failed", 1, "a", 1, { error: new AmalgamError("io_failed", "Broken"), retryMs: 1 });
  expect(model.record()).toMatchObject({ kept: { pieces: 7 }, failures: [{ unit: 1 }] });
  told({ type: "planned", plan: { method: "ties", models: [], tensors: [], files: [] } });
  told({ type: "writing", units: 3, work: 1 });
  expect(model.record()).toMatchObject({ kept: { pieces: 0, bytes: 0 }, failures: [] });
});
