import { expect, test } from "vitest";
import { VirtualClock } from "../virtual-clock.js";
import { SharedBandwidth } from "./bandwidth.js";
import { kimiPlan } from "./kimi.js";
import { mergeAtScale } from "./merge-at-scale.js";

test("the plan has Kimi-K2's numbers", () => {
  const plan = kimiPlan();
  expect(plan.tensors).toHaveLength(139_583);
  expect(plan.files.reduce((total, file) => total + file.bytes, 0) / 1e9).toBeCloseTo(1_029, 0);
});

const plan = kimiPlan({ layers: 6 });
const nodes = 100;
const slots = 4;
const limits = [
  ["the storage", { node: 1.25e9, read: 2e9, write: 2e9 }],
  ["the nodes' cards", { node: 0.0125e9, read: 100e9, write: 100e9 }],
] as const;

test.each(limits)("a hundred nodes come near the bound that %s set", async (_, bandwidths) => {
  const { efficiency, retries } = await mergeAtScale(plan, { nodes, slots, bandwidths });
  expect(efficiency).toBeGreaterThan(0.9);
  expect(efficiency).toBeLessThanOrEqual(1);
  expect(retries).toBe(0);
});

test.each(limits)("a hundred nodes of which some die come near the bound that %s set", async (_, bandwidths) => {
  const { efficiency, deaths, retries } = await mergeAtScale(plan, { nodes, slots, bandwidths, deathsPerMinute: 0.01 });
  expect(deaths).toBeGreaterThan(0);
  expect(retries).toBeGreaterThan(0);
  expect(efficiency).toBeGreaterThan(0.75);
});

test("bandwidth is shared fairly: what a slow card leaves, others get", async () => {
  const clock = new VirtualClock();
  // Everything is read once: a card takes 100 bytes per millisecond, the storage 150.
  const bandwidth = new SharedBandwidth(clock, { node: 100_000, read: 150_000, write: 150_000 }, 1, 0);
  const ends: [string, number][] = [];
  const start = (node: string, bytes: number): void => {
    bandwidth.start(node, bytes, () => ends.push([node, Math.round(clock.now())]));
  };
  // Three units of the first node share its card; all four would get 37.5 of the storage.
  for (let i = 0; i < 3; i += 1) start("crowded", 1_000);
  start("alone", 1_000);
  await clock.advance(1_000);
  // The crowded card gives each 33.3, and the one that is alone has the 50 that are left.
  expect(ends).toEqual([
    ["alone", 20],
    ["crowded", 30],
    ["crowded", 30],
    ["crowded", 30],
  ]);
});
