import type { EngineSnapshot } from "./memory-bus.js";
import type { SimCluster } from "./sim-cluster.js";
import { killCoordinator, peaceMs, planTroubles, troubleMs } from "./troubles.js";

type Fault = (cluster: SimCluster) => void;

/** Plans what goes wrong in a cluster, and when; all of it from the seed. */
export function planFaults(cluster: SimCluster, random: () => number): void {
  const count = Math.floor(random() * 7);
  for (let i = 0; i < count; i += 1) {
    const [name, fault] = pick(faults, random);
    cluster.clock.after(random() * troubleMs, () => {
      if (cluster.ended !== undefined) return;
      cluster.say(`fault: ${name}`);
      fault(random)(cluster);
    });
  }
  planTroubles(cluster, random);
  cluster.clock.after(peaceMs, () => {
    cluster.say("peace");
    cluster.makePeace();
  });
}

const faults: readonly (readonly [string, (random: () => number) => Fault])[] = [
  ["an agent is killed and comes back", (random) => killAgent(random, 500 + random() * 20_000)],
  ["an agent is killed and comes back at once", (random) => killAgent(random, 0)],
  ["an agent is stopped for a while", (random) => stopOne(random, "a")],
  ["a coordinator is stopped for a while", (random) => stopOne(random, "c")],
  ["a coordinator is stopped for a while", (random) => stopOne(random, "c")],
  ["the leader is stopped for a while", (random) => stopLeader(random)],
  ["a coordinator is killed and comes back", (random) => killOne(random)],
  ["a coordinator leaves in order and comes back", (random) => leave(random)],
  ["an agent drains and comes back", (random) => drain(random)],
  ["two processes cannot reach each other", (random) => cutPair(random)],
  ["a process cannot reach the engine", (random) => cutBus(random)],
  ["the engine is away", (random) => engineAway(random)],
  ["the engine loses everything", () => (cluster) => cluster.engine.wipe()],
  ["the engine comes back with old data", (random) => oldData(random)],
  ["all agents are gone for a while", (random) => allAgentsGone(random)],
  ["the power fails", () => (cluster) => cluster.losePower()],
];

function killAgent(random: () => number, awayMs: number): Fault {
  return (cluster) => {
    const name = pick([...cluster.agents.keys()], random);
    cluster.say(`kill ${name}`);
    cluster.kill(name);
    cluster.clock.after(awayMs, () => restartAgent(cluster, name));
  };
}

function restartAgent(cluster: SimCluster, name: string): void {
  if (cluster.agents.get(name)?.process.isDead !== true) return;
  cluster.say(`start ${name}`);
  cluster.startAgent(name);
}

function stopOne(random: () => number, kind: "a" | "c"): Fault {
  return (cluster) => {
    stop(cluster, pick([...(kind === "a" ? cluster.agents : cluster.coordinators).keys()], random), random);
  };
}

function stopLeader(random: () => number): Fault {
  return (cluster) => {
    const [leader] = [...cluster.coordinators].find(([, { service }]) => service.leading.length > 0) ?? [];
    if (leader !== undefined) stop(cluster, leader, random);
  };
}

/** Mostly for a few seconds, sometimes for a minute. */
function stop(cluster: SimCluster, name: string, random: () => number): void {
  const ms = random() < 0.3 ? random() * 60_000 : random() * 10_000;
  const process = cluster.processOf(name);
  if (process === undefined || !process.isRunning) return;
  cluster.say(`stop ${name} for ${Math.round(ms)} ms`);
  process.freeze();
  cluster.network.changed();
  cluster.clock.after(ms, () => {
    if (!process.isDead) cluster.say(`thaw ${name}`);
    process.thaw();
  });
}

function killOne(random: () => number): Fault {
  return (cluster) => killCoordinator(cluster, pick([...cluster.coordinators.keys()], random), random() * 10_000);
}

function leave(random: () => number): Fault {
  return (cluster) => {
    const name = pick([...cluster.coordinators.keys()], random);
    cluster.say(`${name} leaves`);
    cluster.coordinators.get(name)?.leave();
  };
}

function drain(random: () => number): Fault {
  return (cluster) => {
    const name = pick([...cluster.agents.keys()], random);
    const agent = cluster.agents.get(name);
    if (agent === undefined || agent.process.isDead) return;
    void agent.drain(() => {
      if (agent.process.isDead) return;
      cluster.say(`${name} has drained`);
      cluster.kill(name);
      cluster.clock.after(3_000, () => restartAgent(cluster, name));
    });
  };
}

function cutPair(random: () => number): Fault {
  return (cluster) => {
    const [one, other] = [pick([...cluster.coordinators.keys()], random), pick([...cluster.agents.keys()], random)];
    cluster.say(`cut ${one} from ${other}`);
    cluster.network.cut(one, other);
    cluster.clock.after(random() * 30_000, () => cluster.network.heal(one, other));
  };
}

function cutBus(random: () => number): Fault {
  return (cluster) => {
    const name = pick(cluster.names, random);
    const process = cluster.processOf(name);
    if (process === undefined || process.isDead) return;
    cluster.say(`cut ${name} from the engine`);
    process.bus.isPartitioned = true;
    cluster.clock.after(random() * 30_000, () => {
      if (!process.isDead) process.bus.isPartitioned = false;
    });
  };
}

function engineAway(random: () => number): Fault {
  return ({ engine, clock }) => {
    engine.stop();
    clock.after(random() * 20_000, () => engine.start());
  };
}

/** What was written between now and then is lost. */
function oldData(random: () => number): Fault {
  return (cluster) => {
    const old: EngineSnapshot = cluster.engine.snapshot();
    cluster.clock.after(random() * 10_000, () => {
      cluster.say("the engine has old data");
      cluster.engine.restore(old);
    });
  };
}

function allAgentsGone(random: () => number): Fault {
  return (cluster) => {
    const names = [...cluster.agents.keys()];
    for (const name of names) cluster.kill(name);
    cluster.clock.after(random() * 20_000, () => names.forEach((name) => void restartAgent(cluster, name)));
  };
}

function pick<T>(list: readonly T[], random: () => number): T {
  return list[Math.floor(random() * list.length)] as T;
}
