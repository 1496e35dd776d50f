import { moeReferences } from "../moe/config.js";
import { readMoeConfig } from "../moe/read-config.js";
import { type CopyHere, planFirst, runMoe } from "../moe/run-moe.js";
import { formatQuantity } from "../plan/report.js";
import { mirrorReferences } from "../sources/mirror-for-job.js";
import { accessForPlan } from "../sources/mirror-for-merge.js";
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
  if (options.plan) {
    const mirrors = await interruptible((signal) =>
      mirrorReferences(moeReferences(config), config.file, accessForPlan(signal)),
    );
    const { plan, prepared } = await planFirst(config, mirrors, { shardBytes }).finally(() => mirrors.remove());
    const { sequences = [] } = prepared.hidden?.questions ?? {};
    if (sequences.length > 0) {
      const prompts = formatQuantity(sequences.length, "prompt");
      terminal.stderr.write(`The base is run on ${prompts} first, for the gates: they will make it another digest\n`);
    }
    showPlan(plan, options, terminal);
    return 0;
  }
  const made = { kind: "moe", shardBytes, allowIdenticalExperts } as const;
  const copyHere = copyFor(options, terminal);
  return carryOut(output, options, terminal, (run) => runMoe(config, { ...run, made, copyHere }, started));
}

/** The base of a mixture may be large: its way here is shown. */
function copyFor({ json, agent }: MoeCommandOptions, terminal: Terminal): CopyHere {
  return async (address, signal) => {
    const [{ localModel }, { showingDownloads, tellAgentsElsewhere }] = await Promise.all([
      import("../sources/local-copies.js"),
      import("./local-models.js"),
    ]);
    const { path } = await showingDownloads(json, terminal, (onProgress) =>
      localModel(address, { onProgress, signal }),
    );
    if (agent !== undefined) tellAgentsElsewhere([path], terminal.stderr);
    return path;
  };
}
