import { seeded } from "../support/random.js";
import type { Bugs } from "./bugs.js";
import { planFaults } from "./faults.js";
import { type Shape, SimCluster } from "./sim-cluster.js";
import { outputName } from "./sim-take-over.js";

/** Longest time, by the simulation's own clock, that a job may take: faults, then detection of all of them, then work. */
const limitMs = 400_000;

/** So often a unit fails before the job does. */
const patience = 3;

export interface Outcome {
  readonly seed: number;
  /** What must never happen and did. Empty: all is well. */
  readonly violations: readonly string[];
  /** What happened, each line with its time in seconds. */
  readonly trace: readonly string[];
  /** Virtual time until the job was over. */
  readonly seconds: number;
}

/** A cluster, a job, and everything that goes wrong with them: all of it follows from the seed. */
export async function simulate(seed: number, bugs: Bugs = {}): Promise<Outcome> {
  const random = seeded(seed);
  const cluster = new SimCluster(seed, shapeOf(random), bugs);
  const { auditor, clock, trace } = cluster;
  planFaults(cluster, random);
  cluster.start();
  const isSettled = (): boolean => cluster.ended !== undefined || auditor.violations.length > 0;
  await clock.advanceUntil(isSettled, limitMs);
  const seconds = clock.now() / 1000;
  const violations = [...auditor.violations];
  if (violations.length === 0) violations.push(...(await verdictsOn(cluster)));
  return { seed, violations, trace, seconds };
}

/** What is wrong with how it ended. */
async function verdictsOn(cluster: SimCluster): Promise<readonly string[]> {
  const { auditor, ended, triedInVain, network, disk } = cluster;
  if (ended === undefined) return ["The job is not over"];
  if (triedInVain !== undefined) {
    if (ended.state !== "failed") return [`The job is ${ended.state} with a unit that cannot be done`];
    return triedInVain >= patience ? [] : [`The job failed after ${triedInVain} attempts at a unit`];
  }
  if (ended.state !== "done") return [`The job is ${ended.state}, though no unit failed for good: ${ended.reason}`];
  const hasLeft = await cluster.leave();
  auditor.ended(disk.get(outputName));
  return [
    ...(hasLeft ? [] : ["A coordinator that is told to leave does not"]),
    ...(network.open > 0 ? [`${network.open} calls were never ended`] : []),
    ...auditor.violations,
  ];
}

function shapeOf(random: () => number): Shape {
  const coordinators = 2 + Math.floor(random() * 2);
  const agents = Array.from({ length: 3 + Math.floor(random() * 3) }, () => {
    const isSlow = random() < 0.1;
    return { slots: 1 + Math.floor(random() * 2), speed: (1_000 + 1_000 * random()) / (isSlow ? 10 : 1) };
  });
  const rates = new Map<string, number>();
  const dates = new Map<string, number>();
  for (let i = 0; i < coordinators; i += 1) {
    if (random() < 0.3) rates.set(`c${i}`, 0.95 + 0.1 * random());
    if (random() < 0.1) dates.set(`c${i}`, (random() - 0.5) * 7_200_000);
  }
  return { coordinators, agents, tensors: 4 + Math.floor(random() * 5), rates, dates };
}
