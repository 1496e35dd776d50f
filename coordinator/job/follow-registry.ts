import { type Clock, sleep, systemClock } from "../../shared/clock.js";
import { AmalgamError } from "../../shared/errors.js";
import type { Registry } from "../cluster/registry.js";
import { unfitBecause } from "../dispatch/agent-description.js";
import type { Agents } from "../dispatch/agents.js";

/** How often agents that were lost and still beat are asked again. */
const lookMs = 2_000;

export interface Following extends AsyncDisposable {
  /** Resolves when the first agents that there are have answered, or after a moment. */
  readonly started: Promise<void>;
}

/** How long a job's start waits for agents that do not answer. */
const startMs = 2_000;

/**
 * Keeps a job's agents in step with the cluster's: whoever appears is connected to, whoever is gone is removed. An agent
 * that answers is kept although its beats do not arrive, since only its way to the engine may be broken; one that beats
 * and does not answer is asked again and again; one that drains is lost when its connection is. One that must not be used
 * is left alone, and `onUnfit` is told once.
 */
export function followRegistry(
  registry: Pick<Registry, "list" | "onChange">,
  agents: Agents,
  clock: Clock = systemClock,
  onUnfit?: (agent: string, reason: string) => void,
): Following {
  /** The instance that each address was when it was added. */
  const instances = new Map<string, string>();
  /** The instances that must not be used. */
  const unfit = new Set<string>();
  /** Those that one cannot connect to for what certificates say, and of which somebody has been told. */
  const distrusted = new Set<string>();
  let isOver = false;
  let timer = clock.after(lookMs, look);

  function look(): readonly Promise<unknown>[] {
    const added: Promise<unknown>[] = [];
    if (isOver) return added;
    timer.clear();
    timer = clock.after(lookMs, look);
    const beating = new Set<string>();
    const knownAt = new Map(agents.list.map((agent) => [agent.address, agent]));
    for (const { record } of registry.list) {
      const { role, address, instance, name } = record;
      if (role !== "agent" || address === undefined || unfit.has(instance)) continue;
      const known = knownAt.get(address);
      const isRefused = instances.get(address) === instance && known?.lostBecause?.code === "usage";
      const reason = isRefused ? known.lostBecause?.message : unfitBecause(record);
      if (reason !== undefined) {
        unfit.add(instance);
        onUnfit?.(name, reason);
        continue;
      }
      beating.add(address);
      const distrust = instances.get(address) === instance ? known?.lostBecause : undefined;
      // Certificates may be replaced at any moment, so it is asked again.
      if (distrust?.details["tls"] === "refused" && !distrusted.has(instance)) {
        distrusted.add(instance);
        onUnfit?.(name, distrust.message);
      }
      if (record.state === "draining") {
        // Sooner than by its refusing a unit.
        known?.report(new AmalgamError("agent_draining", `Agent "${name}" at ${address} is shutting down`));
        continue;
      }
      if (known !== undefined && instances.get(address) !== instance) {
        agents.remove(address, new AmalgamError("agent_lost", `Agent "${name}" at ${address} was started anew`));
      } else if (known !== undefined && known.state !== "lost") continue;
      instances.set(address, instance);
      added.push(agents.add(address, name));
    }
    for (const agent of agents.list) {
      // One that drained signs off right after its last unit, whose result may still be on its way here.
      if (beating.has(agent.address) || agent.state !== "connecting") continue;
      agents.remove(agent.address, new AmalgamError("agent_lost", `Agent ${agent.label} has left the cluster`));
    }
    return added;
  }

  const unsubscribe = registry.onChange(look);
  const over = new AbortController();
  const answered = (async () => {
    let added = look();
    const giveUpAt = clock.now() + startMs;
    while (added.length === 0 && agents.list.length === 0 && clock.now() < giveUpAt && !isOver) {
      await sleep(clock, 100);
      added = look();
    }
    await Promise.allSettled(added);
    over.abort();
  })();
  return {
    started: Promise.race([answered, sleep(clock, startMs, over.signal)]),
    [Symbol.asyncDispose]: () => {
      isOver = true;
      timer.clear();
      unsubscribe();
      return Promise.resolve();
    },
  };
}
