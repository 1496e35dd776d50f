import { expect, test } from "vitest";
import { seeded } from "../../../support/random.js";
import { type Coordinator, World } from "./world.js";

const seeds = Array.from({ length: 20 }, (_, seed) => seed + 1);

/** One fault, and what ends it. */
type Fault = (world: World, coordinators: Coordinator[], random: () => number) => () => Promise<void> | void;

const nothing = (): void => undefined;
const faults: readonly Fault[] = [
  (_, coordinators, random) => {
    const frozen = pick(coordinators, random);
    frozen.clock.freeze();
    return () => frozen.clock.thaw();
  },
  (world, coordinators, random) => {
    const at = Math.floor(random() * coordinators.length);
    coordinators[at]?.kill();
    coordinators[at] = world.start(`c${at}-${world.clock.now()}`);
    return nothing;
  },
  (_, coordinators, random) => {
    const { bus } = pick(coordinators, random);
    bus.isPartitioned = true;
    return () => {
      bus.isPartitioned = false;
    };
  },
  (world) => {
    world.engine.stop();
    return () => world.engine.start();
  },
  (world, _, random) => {
    world.engine.before = () => (random() < 0.3 ? "lose-reply" : random() < 0.3 ? "fail" : Math.floor(random() * 500));
    return () => {
      world.engine.before = undefined;
    };
  },
  (world) => {
    world.engine.wipe();
    return nothing;
  },
];

function pick<T>(items: readonly T[], random: () => number): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new RangeError("Nothing to pick from");
  return item;
}

test.each(seeds)("whatever happens to coordinators and engine, every job ends (seed %i)", async (seed) => {
  const random = seeded(seed);
  const world = new World();
  world.work = { steps: 12, stepMs: 1_000, tellsProgress: true };
  const coordinators = [world.start("c0"), world.start("c1"), world.start("c2")];
  const ids = ["a", "b", "c"];
  for (const id of ids) await world.submit(id);
  await world.clock.advance(2_000);
  for (let i = 0; i < 6; i += 1) {
    const mend = pick(faults, random)(world, coordinators, random);
    await world.clock.advance(Math.floor(random() * 15_000));
    await mend();
    await world.clock.advance(Math.floor(random() * 8_000));
  }
  // A record that was wiped while nobody led its job is gone for good: whoever submitted it has to do so again.
  for (const id of ids) if (world.record(id) === undefined) await world.submit(id);
  for (const id of ids) await world.untilState("done", id, 200_000);
  await world.clock.advance(60_000);
  expect(coordinators.flatMap(({ service }) => service.leading)).toEqual([]);
  expect(world.engine.jobs.size).toBe(0);
});
