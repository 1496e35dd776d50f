import { availableParallelism } from "node:os";
import { quote } from "../../shared/quote.js";
import { methodOf } from "../plan/check-method.js";
import { estimate } from "../plan/estimate.js";
import { type Planner, planHere } from "../plan/planner.js";
import { formatPlan, planToJson } from "../plan/report.js";
import { MustBeStored, upTo } from "../plan/stored-stages.js";
import type { Plan } from "../plan/types.js";
import { chooseUnitBytes, cutUnits } from "../plan/units.js";
import { readRecipe } from "../recipe/read.js";
import type { RecipeFile } from "../recipe/recipe.js";
import { mirrorForPlan } from "../sources/mirror-for-merge.js";
import { interruptible } from "./interrupt.js";
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
  const mirrors = await interruptible((signal) => mirrorForPlan(recipe, signal));
  const planner = mirrors.planner(planHere);
  const planned = await planFirst(mirrors.recipe, planner, options, terminal).finally(() => mirrors.remove());
  showPlan(planned, options, terminal);
  return options.strict && planned.warnings.length > 0 ? 1 : 0;
}

/** The plan of the file, or of its first document that must be a checkpoint before the others can be planned. */
async function planFirst(
  file: RecipeFile,
  planner: Planner,
  options: PlanCommandOptions,
  terminal: Terminal,
): Promise<Plan> {
  try {
    return await planner(file, { shardBytes: options.shardSize });
  } catch (reason) {
    if (!(reason instanceof MustBeStored)) throw reason;
    const alone = upTo(file, reason.stage);
    const name = quote(alone.stages.at(-1)?.name?.value ?? "");
    terminal.stderr.write(`${name} is merged by itself first, and this is its plan: ${reason.message}\n`);
    return planFirst(alone, planner, options, terminal);
  }
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
