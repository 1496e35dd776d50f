import { runPlan } from "../job.js";
import { openMoeModels, planMoe } from "../moe/plan-moe.js";
import { readMoeConfig } from "../moe/read-config.js";
import { carryOut, type RunOptions } from "./merge.js";
import { showPlan } from "./plan.js";
import type { Terminal } from "./terminal.js";

export interface MoeCommandOptions extends RunOptions {
  /** Say what it takes, and make nothing. */
  readonly plan: boolean;
  readonly allowIdenticalExperts: boolean;
}

/** `amalgam moe`: dense models become the experts of one. */
export async function moe(
  configFile: string,
  output: string,
  options: MoeCommandOptions,
  terminal: Terminal,
): Promise<number> {
  const started = performance.now();
  const config = await readMoeConfig(configFile, options);
  const plan = planMoe(config, await openMoeModels(config), { shardBytes: options.shardSize });
  if (options.plan) {
    showPlan(plan, options, terminal);
    return 0;
  }
  return carryOut(output, options, terminal, (run) => runPlan(plan, config.text, run, started));
}
