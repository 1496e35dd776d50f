import { connectAgents } from "../coordinator/dispatch/agents.js";
import { runAttempt } from "../coordinator/dispatch/attempt.js";
import { startLocalAgents } from "../coordinator/dispatch/local-agents.js";
import { createRequestBuilder } from "../coordinator/dispatch/request.js";
import { openModels } from "../coordinator/plan/open-models.js";
import { planMerge } from "../coordinator/plan/plan.js";
import { cutUnits } from "../coordinator/plan/units.js";
import { readRecipe } from "../coordinator/recipe/read.js";
import { chunkBytes } from "../shared/bytes.js";
import { makeModels } from "./checkpoints.js";
import type { BenchContext } from "./harness.js";
import { writeRecipe } from "./recipes.js";

/** An agent in a process of its own, connected, and one unit that streams a whole model from it. */
export async function startStreamingAgent({ folder, modelBytes }: BenchContext) {
  const recipe = await readRecipe(writeRecipe(folder, "passthrough", makeModels(folder, modelBytes)).file);
  const plan = planMerge(recipe, await openModels(recipe));
  const [unit] = cutUnits(plan, { unitBytes: Number.MAX_SAFE_INTEGER });
  const entry = new URL("../node-agent/main.js", import.meta.url);
  const settings = { count: 1, mode: "process", slotsEach: 1, memoryBytesEach: 256 << 20 } as const;
  const local = await startLocalAgents({ ...settings, entry, roots: [folder] });
  const agents = await connectAgents(local.addresses);
  const [agent] = agents.list;
  if (unit === undefined || agent === undefined) throw new Error("There is no unit, or no agent");
  const build = createRequestBuilder(plan, "bench");
  let epoch = 0;
  return {
    bytes: unit.bytesWritten,
    async stream(): Promise<void> {
      epoch += 1;
      const request = build(unit, { epoch, task: { kind: "stream", chunkBytes } });
      await runAttempt(agent, request, { sink: { write: async () => undefined } });
    },
    async [Symbol.asyncDispose]() {
      await agents[Symbol.asyncDispose]();
      await local[Symbol.asyncDispose]();
    },
  };
}
