import { expect, test } from "vitest";
import type { Located } from "../../../../coordinator/dispatch/locate.js";
import type { JobAgent } from "../../../../coordinator/job/job-agents.js";
import { JobPlacement, type PlacementOptions } from "../../../../coordinator/job/placement.js";
import { unitSources } from "../../../../coordinator/job/unit-sources.js";
import type { Plan, Unit } from "../../../../coordinator/plan/types.js";
import { fakePlan, unitPerTensor } from "../../../support/dispatch.js";

const elements = 1_000;
const bytes = 2 * elements;
const plan = fakePlan([
  { name: "a", elements },
  { name: "b", elements },
]);
const [unit] = unitPerTensor(plan) as [Unit];

/** Sees these sources. Undefined: everything, without having been asked. */
function agentWith(
  sources: readonly number[] | undefined,
  { address = "x:1", memoryBytes = 1e9, slots = 2, sharesOutput = true, state = "ready" } = {},
): JobAgent {
  const sight: Located | undefined = sources && {
    agent: address,
    has: (source) => sources.includes(source),
    sharesOutput,
  };
  return { address, slots, state, sight, description: { memoryBytes } } as unknown as JobAgent;
}

function placementOf(agents: readonly JobAgent[], options: Partial<PlacementOptions> = {}): JobPlacement {
  const defaults = { bytesPerSlot: 1e6, needsOutput: false, mirrors: undefined };
  return new JobPlacement(plan, { list: agents, onChange: () => () => undefined }, { ...defaults, ...options });
}

test("an agent that sees every source may run everything, and fetches nothing", () => {
  for (const agent of [agentWith(undefined), agentWith([0, 1])]) {
    const placement = placementOf([agent]);
    expect(placement.refuses(unit, agent)).toBeUndefined();
    expect(placement.remoteBytes(unit, agent)).toBe(0);
  }
});

test("what an agent lacks it fetches from those that have it, while they are there", () => {
  const lacking = agentWith([0], { address: "x:1" });
  for (const [state, isServed] of [
    ["ready", true],
    ["draining", true],
    ["connecting", false],
    ["lost", false],
  ] as const) {
    const having = agentWith([1], { address: "y:1", state });
    const placement = placementOf([lacking, having]);
    expect(placement.peersOf(1)).toEqual(isServed ? ["y:1"] : []);
    expect(placement.refuses(unit, lacking) === undefined).toBe(isServed);
    expect(placement.remoteBytes(unit, lacking)).toBe(bytes);
  }
});

test("a refusal names the file that nobody has, where its agent would look for it", () => {
  const agent = agentWith([0]);
  expect(placementOf([agent]).refuses(unit, agent)).toBe('it cannot read "/nowhere/1", and no other agent has it');
  const mirrors = new Map([["/nowhere/1", { agent: "gpu-1", path: "/models/m.safetensors", modifiedMs: 0 }]]);
  expect(placementOf([agent], { mirrors }).refuses(unit, agent)).toContain('"/models/m.safetensors"');
});

test("what is on a server every agent reads by itself, or not at all", () => {
  const url = `https://host/${"long/".repeat(60)}model.safetensors`;
  const mirrors = new Map([["/nowhere/1", { path: url, modifiedMs: 0 }]]);
  const [lacking, having] = [agentWith([0]), agentWith([0, 1], { address: "y:1" })];
  const placement = placementOf([lacking, having], { mirrors });
  expect(placement.peersOf(1)).toEqual([]);
  expect(placement.refuses(unit, lacking)).toMatch(/^it may not read "https:.+: give it a "--root"/);
  expect(placement.refuses(unit, having)).toBeUndefined();
  // As it comes over gRPC: cut.
  placement.refuse("y:1", `${url.slice(0, 199)}…`, "the server says no");
  expect(placement.refuses(unit, having)).toBe("the server says no");
});

test("an agent that must write the output must see it", () => {
  const agent = agentWith([0, 1], { sharesOutput: false });
  expect(placementOf([agent]).refuses(unit, agent)).toBeUndefined();
  expect(placementOf([agent], { needsOutput: true }).refuses(unit, agent)).toBe("it does not see the output's folder");
});

test("memory is counted per slot, and the refusal has the numbers", () => {
  const agent = agentWith([0, 1], { memoryBytes: 3_000_000, slots: 4 });
  expect(placementOf([agent], { bytesPerSlot: 750_000 }).refuses(unit, agent)).toBeUndefined();
  expect(placementOf([agent]).refuses(unit, agent)).toMatch(/may hold 3(\.0+)? MB .* 4 slots need 4(\.0+)? MB/);
});

test("unitSources() counts the share of a cut tensor, factors whole, and rows by the tensors they come from", () => {
  const stored = (source: number, size: number) => ({ source, offset: 0, dtype: "BF16" as const, bytes: size });
  const update = { a: stored(2, 10), b: stored(2, 20), rank: 1, scale: 1, transposed: false };
  const rows = { tensors: [{ ...stored(3, 400), rows: 4 }], columns: 1, segments: [] };
  const inputs = [
    { ...stored(0, 100), model: 0, updates: [update] },
    { ...stored(1, 200), model: 1, rows },
  ];
  const [first] = plan.tensors;
  const cut = { ...plan, tensors: [{ ...first, inputs }] } as Plan;
  const half = { id: 0, pieces: [{ tensor: 0, begin: 0, end: elements / 2 }], bytesRead: 0, bytesWritten: 0 };
  expect(Object.fromEntries(unitSources(cut, half))).toEqual({ 0: 50, 2: 30, 3: 200 });
});
