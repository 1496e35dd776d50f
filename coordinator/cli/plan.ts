import { availableParallelism } from "node:os";
import { methodOf } from "../plan/check-method.js";
import { estimate } from "../plan/estimate.js";
import { openModels } from "../plan/open-models.js";
import { planMerge } from "../plan/plan.js";
import { formatPlan, planToJson } from "../plan/report.js";
import type { Plan } from "../plan/types.js";
import { chooseUnitBytes, cutUnits } from "../plan/units.js";
import { readRecipe } from "../recipe/read.js";
import type { Terminal } from "./terminal.js";

export interface PlanCommandOptions {
  readonly json: boolean;
  readonly strict: boolean;
  readonly agents: number;
  readonly slots?: number | undefined;
  readonly unitSize?: number | undefined;
  readonly shardSize: number;
}

/** `amalgam plan`: everything that can be known before a byte of weights moves. */
export async function plan(file: string, options: PlanCommandOptions, terminal: Terminal): Promise<number> {
  const recipe = await readRecipe(file);
  recipe.stages.forEach(methodOf);
  const planned = planMerge(recipe, await openModels(recipe), { shardBytes: options.shardSize });
  showPlan(planned, options, terminal);
  return options.strict && planned.warnings.length > 0 ? 1 : 0;
}

/** Prints a plan and what it costs with these agents. */
export function showPlan(
  planned: Plan,
  options: Pick<PlanCommandOptions, "json" | "agents" | "slots" | "unitSize">,
  { stdout }: Terminal,
): void {
  const slots = options.slots ?? defaultSlots(options.agents);
  const unitBytes = options.unitSize ?? chooseUnitBytes(planned, slots * options.agents);
  const cost = estimate(planned, cutUnits(planned, { unitBytes }), slots);
  stdout.write(options.json ? `${JSON.stringify(planToJson(planned, cost))}\n` : `${formatPlan(planned, cost)}\n`);
}

/** Cores are shared evenly by the agents of one machine. */
export function defaultSlots(agents: number): number {
  return Math.max(1, Math.floor(availableParallelism() / agents));
}
