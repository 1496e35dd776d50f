import * as staging from "../../coordinator/assemble/open-staging.js";
import type { Staging } from "../../coordinator/assemble/staging.js";
import type { Plan } from "../../coordinator/plan/types.js";

/** The staging of an output that is not complete yet. */
export async function openStaging(plan: Plan, output: string, options: staging.StagingOptions): Promise<Staging> {
  const opened = await staging.openStaging(plan, output, options);
  if (opened === "complete") throw new Error(`${output} is complete`);
  return opened;
}
