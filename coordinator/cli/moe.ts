import { runPlan } from "../job.js";
import { inMoeConfig, moeReferences } from "../moe/config.js";
import { openMoeModels, planMoe } from "../moe/plan-moe.js";
import { readMoeConfig } from "../moe/read-config.js";
import type { Plan } from "../plan/types.js";
import type { Made } from "../provenance/made.js";
import { mirrorReferences, type ReferenceMirrors } from "../sources/mirror-for-job.js";
import { accessForPlan, withMirrors } from "../sources/mirror-for-merge.js";
import { interruptible } from "./interrupt.js";
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
  const { shardSize: shardBytes, allowIdenticalExperts } = options;
  const planOver = (mirrors: ReferenceMirrors): Promise<Plan> =>
    mirrors.planned(async () => {
      const mirrored = inMoeConfig(config, mirrors.otherPath);
      return planMoe(mirrored, await openMoeModels(mirrored), { shardBytes });
    });
  if (options.plan) {
    const mirrors = await interruptible((signal) =>
      mirrorReferences(moeReferences(config), config.file, accessForPlan(signal)),
    );
    showPlan(await planOver(mirrors).finally(() => mirrors.remove()), options, terminal);
    return 0;
  }
  const made: Made = { kind: "moe", shardBytes, allowIdenticalExperts };
  return carryOut(output, options, terminal, (run) =>
    withMirrors(config, moeReferences(config), run, async (mirrors) => {
      const plan = await planOver(mirrors);
      return runPlan(plan, config.text, { ...run, mirrors: mirrors.files, made }, started);
    }),
  );
}
