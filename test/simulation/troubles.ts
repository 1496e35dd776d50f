import { AmalgamError } from "../../shared/errors.js";
import type { SimCluster } from "./sim-cluster.js";
import { blocksOf } from "./sim-plan.js";

/** Faults begin within this time. */
export const troubleMs = 15_000;
/** By then all of them are over, and from there on everything works. */
export const peaceMs = 80_000;

/** Things that go wrong now and then, or at a certain step, as opposed to at a certain time. */
export function planTroubles(cluster: SimCluster, random: () => number): void {
  if (random() < 0.3) mishapsOf(cluster, random);
  if (random() < 0.03) poisonUnit(cluster);
  if (random() < 0.3) busTrouble(cluster, random);
  if (random() < 0.2) cluster.network.lostPart = 0.1;
  if (random() < 0.2) killAtJournalWrite(cluster, 1 + Math.floor(random() * 12));
  if (random() < 0.15) stopAtPublish(cluster, random);
  if (random() < 0.1) fullDisk(cluster, 1 + Math.floor(random() * 12));
}

export function killCoordinator(cluster: SimCluster, name: string, awayMs: number): void {
  cluster.say(`kill ${name}`);
  cluster.kill(name);
  cluster.clock.after(awayMs, () => {
    if (cluster.processOf(name)?.isDead === true) cluster.startCoordinator(name);
  });
}

/** Attempts that hang, fail, or bring damage. Never so many that the job must fail. */
function mishapsOf(cluster: SimCluster, random: () => number): void {
  const failed = new Map<number, number>();
  let rots = 0;
  cluster.mishap = (_, unit) => {
    const draw = random();
    if (draw > 0.1 || cluster.clock.now() > peaceMs) return undefined;
    const [piece] = unit.pieces;
    const block = piece === undefined ? 0 : (blocksOf(cluster.job, piece.tensor, piece)[0] ?? 0);
    if (draw < 0.01 && rots === 0) {
      rots += 1;
      return "rot";
    }
    const before = failed.get(block) ?? 0;
    if (before >= 2) return undefined;
    failed.set(block, before + 1);
    if (draw < 0.03) return "hang";
    return draw < 0.06 ? "mangle" : "fail";
  };
}

/** One unit fails on every agent. */
function poisonUnit(cluster: SimCluster): void {
  const { mishap } = cluster;
  let tried = 0;
  cluster.triedInVain = tried;
  cluster.mishap = (agent, unit) => {
    if (!unit.pieces.some(({ tensor, begin }) => tensor === 0 && begin === 0)) return mishap(agent, unit);
    tried += 1;
    cluster.triedInVain = tried;
    return "fail";
  };
}

/** Requests and answers between clients and the engine are late and lost. */
function busTrouble({ engine, clock }: SimCluster, random: () => number): void {
  engine.before = () => {
    if (clock.now() > troubleMs) return "ok";
    const draw = random();
    if (draw < 0.02) return "fail";
    if (draw < 0.04) return "lose-reply";
    return draw < 0.2 ? random() * 100 : "ok";
  };
}

/** At the n-th write to a journal, before or after it took effect. */
function killAtJournalWrite(cluster: SimCluster, n: number): void {
  let writes = 0;
  const before = cluster.onJournalWrite;
  cluster.onJournalWrite = (process) => {
    before(process);
    writes += 1;
    if (writes !== n) return;
    cluster.say(`${process.name} is killed at its write to the journal`);
    killCoordinator(cluster, process.name, 2_000);
  };
}

/** The first leader that is about to show the output is stopped, until a while after another one has taken over. */
function stopAtPublish(cluster: SimCluster, random: () => number): void {
  const { auditor, clock } = cluster;
  let isFirst = true;
  cluster.onPublish = (process) => {
    if (!isFirst) return;
    isFirst = false;
    cluster.say(`${process.name} is stopped before it publishes`);
    process.freeze();
    cluster.network.changed();
    const thaw = (): void => {
      if (process.clock.isFrozen && !process.isDead) cluster.say(`thaw ${process.name}`);
      process.thaw();
    };
    auditor.whenLed(() => clock.after(random() < 0.5 ? random() * 5 : random() * 3_000, thaw));
    clock.after(30_000, thaw);
  };
}

function fullDisk(cluster: SimCluster, n: number): void {
  let writes = 0;
  const before = cluster.onJournalWrite;
  cluster.onJournalWrite = (process) => {
    before(process);
    writes += 1;
    if (writes === n) throw new AmalgamError("out_of_space", "Cannot write journal: ENOSPC");
  };
}
