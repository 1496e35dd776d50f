import type { Lead, LeadJob } from "../../coordinator/cluster/service.js";
import { type Agent, type AgentClient, Agents } from "../../coordinator/dispatch/agents.js";
import { dispatch } from "../../coordinator/dispatch/dispatcher.js";
import { followRegistry } from "../../coordinator/job/follow-registry.js";
import { Journaling } from "../../coordinator/job/journaling.js";
import type { Unit } from "../../coordinator/plan/types.js";
import { cutUnits } from "../../coordinator/plan/units.js";
import { AmalgamError } from "../../shared/errors.js";
import type { Network } from "./network.js";
import type { SimAgent } from "./sim-agent.js";
import { SimClient } from "./sim-client.js";
import { SimStaging } from "./sim-staging.js";
import type { StagingContext } from "./sim-take-over.js";

export interface LeadContext extends StagingContext {
  readonly network: Network;
  /** The agent that listens at an address right now. */
  readonly agentAt: (address: string) => SimAgent | undefined;
}

/** Staged bytes that changed after their receipt are computed once more. */
const commitAttempts = 2;

/** Agents die here as they like, and three dead ones say nothing about a unit. */
const losses = 10;

/** How a simulated coordinator carries out a job: the steps of `runPlan()` and `MergeRun`, on a simulated disk. */
export function createSimLead(context: LeadContext): LeadJob {
  return async (lead) => {
    const { plan } = context.job;
    const { record, epoch } = lead;
    await lead.setState("planning");
    await lead.setState("running", { digest: plan.digest });
    const staging = await SimStaging.open(context, { job: record.id, epoch });
    if (staging === "complete") return { digest: plan.digest };
    try {
      for (let attempt = 1; ; attempt += 1) {
        await merge(context, lead, staging);
        await lead.setState("committing");
        await lead.assertLeading();
        try {
          await staging.commit();
          return { digest: plan.digest };
        } catch (reason) {
          if (AmalgamError.from(reason).code !== "chunk_corrupt" || attempt === commitAttempts) throw reason;
        }
      }
    } finally {
      await staging.close();
    }
  };
}

async function merge(context: LeadContext, lead: Lead, staging: SimStaging): Promise<void> {
  const { job, auditor, process, network, agentAt } = context;
  const { clock } = process;
  const { unitBytes = 1 << 20 } = lead.record.request;
  const units = cutUnits(job.plan, { unitBytes, done: staging.pieces.done });
  const leadership = { job: job.plan.digest, fence: BigInt(staging.generation) };
  await using agents = new Agents({
    clock,
    leadership: () => leadership,
    signal: lead.signal,
    createClient: (address) => new SimClient(process, network, () => agentAt(address)) as unknown as AgentClient,
  });
  await using following = followRegistry(lead.registry, agents, clock);
  await following.started;
  const journaling = new Journaling(lead.signal);
  let unitsDone = 0;
  const run = async ({ unit, agent, signal }: { unit: Unit; agent: Agent; signal: AbortSignal }) => {
    const ended = auditor.started(staging.generation, unit, signal);
    try {
      const client = agent.client as unknown as SimClient;
      return { unit, agent, receipts: await client.merge({ order: leadership, unit, path: staging.path }, signal) };
    } finally {
      ended();
    }
  };
  try {
    const { signal } = journaling;
    const results = dispatch(units, { agents, run, clock, signal, waitForAgentsMs: Infinity, retry: { losses } });
    for await (const { unit, agent, receipts } of results) {
      journaling.add(staging.accept(receipts, { unit: unit.id, epoch: 1, agent: agent.name }));
      unitsDone += 1;
      tell(lead, units.length, unitsDone);
    }
  } finally {
    await journaling.settled();
  }
}

function tell(lead: Lead, units: number, unitsDone: number): void {
  const numbers = { work: 0, workDone: 0, agents: 0, slots: 0, retries: 0, bytesPerSecond: 0 };
  lead.progress({ units, unitsDone, ...numbers });
}
