import { stat } from "node:fs/promises";
import { type Clock, sleep, systemClock } from "../../shared/clock.js";
import { AmalgamError } from "../../shared/errors.js";
import type { Reach } from "../../shared/remote/reach.js";
import type { RemoteOptions } from "../../shared/remote/remote-store.js";
import type { Security } from "../../shared/rpc/security.js";
import { Complaints } from "../recipe/complaints.js";
import type { RecipeFile } from "../recipe/recipe.js";
import { workPlace } from "../sinks/work-place.js";
import { hasStaged, type JobMirrors, mirrorDirectory, mirrorForJob, removeMirrors } from "../sources/mirror-for-job.js";
import { nodeModelsOf } from "../sources/node-models.js";
import { remoteAccess } from "../sources/remote-access.js";
import type { Lead } from "./lead.js";

/** How long a new job looks for the agents that its recipe names: nobody can say that they exist. */
const firstMs = 10_000;
/** Between two tries. */
const pauseMs = 500;
/** Reasons are for people, and a recipe can name a hundred agents. */
const maxReasonLength = 4_000;

export interface MirrorForLeadOptions {
  readonly security?: Security;
  /** @default the system's */
  readonly clock?: Clock;
  /** @default 10 seconds */
  readonly firstMs?: number;
  /** Of ways to servers. @default process.env */
  readonly env?: RemoteOptions["env"];
  /** Where the job's addresses may lead: whoever submitted it is not who runs this coordinator. @default public servers */
  readonly reach?: Reach | undefined;
}

/**
 * Mirrors the models that only agents or servers have, as `mirrorForJob()` does, and waits for agents that are away, and
 * for agents and servers that fail: for as long as the job's request says, and tells why. A job that was never planned
 * nor mirrored soon complains of agents that there are not, and of paths that may be of the Hub, for these may be wrong. Rejects with the lead's reason
 * when its signal is aborted.
 */
export async function mirrorForLead(
  recipe: RecipeFile,
  lead: Pick<Lead, "record" | "registry" | "signal" | "setState" | "event">,
  options: MirrorForLeadOptions = {},
): Promise<JobMirrors> {
  const { security, clock = systemClock } = options;
  const { record, registry, signal } = lead;
  const wanted = agentsIn(recipe);
  const directory = mirrorDirectory(recipe, workPlace(record.request));
  // Agents of a cluster read from servers by themselves.
  const access = remoteAccess({ mayUseCache: false, env: options.env, reach: options.reach ?? {} });
  // There is a folder only once all agents were there. That they existed is on the storage also when the engine is wiped.
  const isBegun = record.digest !== undefined || (await isThere(directory));
  const beganMs = clock.now();
  let told: string | undefined;
  for (;;) {
    signal.throwIfAborted();
    const agents = addressesIn(registry);
    const isMissing = wanted.some((name) => !agents.has(name));
    try {
      const nodes = { agents, security };
      const mirrors = await mirrorForJob(recipe, {
        ...access,
        nodes,
        directory,
        isBegun: await hasWork(record),
        isTriedAgain: true,
        signal,
      });
      if (told !== undefined) {
        await lead.setState("planning");
        lead.event("info", "agents came", "Work goes on");
      }
      return mirrors;
    } catch (error) {
      signal.throwIfAborted();
      const reason = AmalgamError.from(error);
      const waitedMs = clock.now() - beganMs;
      const isNew = (isMissing || isGuess(reason)) && !isBegun;
      const isHopeless = !(isMissing || isWorthWaiting(reason));
      const isOver = isNew
        ? waitedMs >= (options.firstMs ?? firstMs)
        : waitedMs >= (record.request.maxWaitMs ?? Infinity);
      if (isOver || isHopeless) {
        // Nobody goes on from what was never planned.
        if (!(await hasWork(record))) await removeMirrors(directory);
        throw isHopeless || isNew ? reason : waitedTooLong(waitedMs, reason);
      }
      const why = reason.message.slice(0, maxReasonLength);
      // Whoever submitted a new job stays until it is planned, or waits: a wrong name is to be told while they are there.
      if (!isNew && told !== why) {
        told = why;
        await lead.setState("waiting", { reason: why });
        lead.event("warning", "waiting", why);
      }
      await sleep(clock, pauseMs, signal);
    }
  }
}

/** The agents whose models the recipe names. Complains of names that are none before anybody is waited for. */
function agentsIn(recipe: RecipeFile): readonly string[] {
  const complaints = new Complaints(recipe.file);
  const models = nodeModelsOf(recipe, complaints);
  complaints.throwIfAny();
  return [...models.values()].map(({ value }) => value.agent);
}

function addressesIn(registry: Lead["registry"]): ReadonlyMap<string, string> {
  const agents = new Map<string, string>();
  for (const { record } of registry.list) {
    if (record.role === "agent" && record.address !== undefined) agents.set(record.name, record.address);
  }
  return agents;
}

/** A Hub that cannot be reached does not tell whether a path is misspelt. */
function isGuess({ details }: AmalgamError): boolean {
  return details["guess"] !== undefined;
}

/** An agent that cannot be reached or read now may be well again; what is wrong with ourselves stays so. */
function isWorthWaiting({ code, retryable }: AmalgamError): boolean {
  return retryable && code !== "internal";
}

function waitedTooLong(waitedMs: number, reason: AmalgamError): AmalgamError {
  const seconds = Math.round(waitedMs / 1000);
  // A server that fails is no agent.
  const code = reason.code === "source_failed" ? reason.code : "agent_lost";
  const who = code === "agent_lost" ? "No agent with the models came" : "The models could not be read";
  return new AmalgamError(code, `${who} for ${seconds} s: ${reason.message}`, { cause: reason });
}

/** Of an earlier leader, or of an earlier job that failed. */
async function hasWork({ digest, request }: Lead["record"]): Promise<boolean> {
  return digest !== undefined || (!request.overwrite && (await hasStaged(workPlace(request))));
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
