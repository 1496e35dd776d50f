import { createHash } from "node:crypto";
import { rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Clock, sleep, systemClock } from "../../shared/clock.js";
import { AmalgamError } from "../../shared/errors.js";
import type { Security } from "../../shared/rpc/security.js";
import { stagesSuffix } from "../assemble/find-stagings.js";
import { removeEmpty } from "../assemble/leftovers.js";
import { Complaints } from "../recipe/complaints.js";
import type { RecipeFile } from "../recipe/recipe.js";
import { type Mirrors, mirrorNodeModels } from "../sources/mirror.js";
import { nodeModelsOf } from "../sources/node-models.js";
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
}

export interface LeadMirrors extends Mirrors {
  /** Removes what was mirrored: nothing is planned from it any more. */
  remove(): Promise<void>;
}

/**
 * Mirrors the models that only agents have, as `mirrorNodeModels()` does, and waits for agents that are away or fail: for
 * as long as the job's request says, and tells why. A job that was never planned nor mirrored soon complains of agents
 * that there are not, for their names may be wrong. Rejects with the lead's reason when its signal is aborted.
 */
export async function mirrorForLead(
  recipe: RecipeFile,
  lead: Pick<Lead, "record" | "registry" | "signal" | "setState" | "event">,
  options: MirrorForLeadOptions = {},
): Promise<LeadMirrors> {
  const { security, clock = systemClock } = options;
  const { record, registry, signal } = lead;
  const wanted = agentsIn(recipe);
  const directory = directoryOf(recipe, record.request.output);
  // There is a folder only once all agents were there. That they existed is on the storage also when the engine is wiped.
  const isBegun = record.digest !== undefined || (await isThere(directory));
  const beganMs = clock.now();
  let told: string | undefined;
  for (;;) {
    signal.throwIfAborted();
    const agents = addressesIn(registry);
    const isMissing = wanted.some((name) => !agents.has(name));
    try {
      const mirrors = await mirrorNodeModels(recipe, { agents, security, directory, signal });
      if (told !== undefined) {
        await lead.setState("planning");
        lead.event("info", "agents came", "Work goes on");
      }
      return { ...mirrors, remove: () => removeMirrors(directory) };
    } catch (error) {
      signal.throwIfAborted();
      const reason = AmalgamError.from(error);
      const waitedMs = clock.now() - beganMs;
      const isNew = isMissing && !isBegun;
      if (!(isMissing || isWorthWaiting(reason))) throw reason;
      if (isNew && waitedMs >= (options.firstMs ?? firstMs)) throw reason;
      if (!isNew && waitedMs >= (record.request.maxWaitMs ?? Infinity)) throw waitedTooLong(waitedMs, reason);
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

/** An agent that cannot be reached or read now may be well again; what is wrong with ourselves stays so. */
function isWorthWaiting({ code, retryable }: AmalgamError): boolean {
  return retryable && code !== "internal";
}

function waitedTooLong(waitedMs: number, reason: AmalgamError): AmalgamError {
  const seconds = Math.round(waitedMs / 1000);
  return new AmalgamError("agent_lost", `No agent with the models came for ${seconds} s: ${reason.message}`, {
    cause: reason,
  });
}

/** Beside the output, the same for every attempt at a recipe, and no other's: each removes its own. */
function directoryOf(recipe: RecipeFile, output: string): string {
  const name = createHash("sha256").update(`${recipe.file}\n${recipe.text}`).digest("hex").slice(0, 16);
  return join(`${output}${stagesSuffix}`, "nodes", name);
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function removeMirrors(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  const nodes = dirname(directory);
  await removeEmpty(nodes);
  await removeEmpty(dirname(nodes));
}
