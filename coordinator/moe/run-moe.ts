import { inspectOutput } from "../assemble/output-directory.js";
import type { JobResult, PlanRun } from "../job/types.js";
import { runPlan } from "../job.js";
import type { OpenModel } from "../plan/open-models.js";
import type { Plan } from "../plan/types.js";
import type { MadeOf } from "../provenance/made.js";
import type { ReferenceMirrors } from "../sources/mirror-for-job.js";
import { withMirrors } from "../sources/mirror-for-merge.js";
import { inMoeConfig, type MoeConfig, moeReferences } from "./config.js";
import { openMoeModels, type PreparedMoe, planMoe, prepareMoe } from "./plan-moe.js";

export interface MoeRun extends PlanRun {
  readonly made: MadeOf<"moe">;
  /** A folder that may have gates that were made of hidden states before. @default the output */
  readonly knownGates?: string | undefined;
  /** Looks at the models before anything is planned of them. */
  readonly onOpened?: (models: readonly OpenModel[]) => Promise<void>;
  /** The same of a plan, before anything is made. */
  readonly onPlanned?: (plan: Plan) => void;
}

/** Makes a mixture of experts. `started`: when the user asked for it, by `performance.now()`. */
export async function runMoe(config: MoeConfig, run: MoeRun, started: number): Promise<JobResult> {
  return withMirrors(config, moeReferences(config), run, async (mirrors) => {
    const { made, onOpened, onPlanned } = run;
    const { shardBytes } = made;
    const { prepared, plan } = await planFirst(config, mirrors, { shardBytes, onOpened });
    onPlanned?.(plan);
    const make = (whole: Plan): Promise<JobResult> =>
      runPlan(whole, config.text, { ...run, mirrors: mirrors.files }, started);
    if (prepared.hidden === undefined) return make(plan);
    const { placeGates } = await import("./hidden/place-gates.js");
    const known = run.knownGates ?? run.output;
    const onRun = async (): Promise<string | undefined> => {
      await assertFree(plan, run);
      return await copyOfBase(prepared, plan, run);
    };
    const gates = await placeGates(prepared, { ...run, known, onRun });
    const result = await make(await mirrors.planned(async () => planMoe(prepared, { shardBytes, gates })));
    await gates.remove();
    return result;
  });
}

/** The plan, which is not that of the output while hidden states are to be found out for its gates. */
export async function planFirst(
  config: MoeConfig,
  mirrors: ReferenceMirrors,
  { shardBytes, onOpened }: { readonly shardBytes: number; readonly onOpened?: MoeRun["onOpened"] },
): Promise<{ readonly prepared: PreparedMoe; readonly plan: Plan }> {
  const found: PreparedMoe[] = [];
  const plan = await mirrors.planned(async () => {
    const mirrored = inMoeConfig(config, mirrors.otherPath);
    const models = await openMoeModels(mirrored);
    await onOpened?.(models);
    const prepared = prepareMoe(mirrored, models);
    found.push(prepared);
    return planMoe(prepared, { shardBytes });
  });
  const [prepared] = found;
  if (prepared === undefined) throw new RangeError("Nothing was planned");
  return { prepared, plan };
}

/** That the output may not be written where it is to go is known before the base is run. */
async function assertFree(plan: Plan, { output, overwrite, sink }: PlanRun): Promise<void> {
  const sources = plan.sources.filter(({ isComputed }) => isComputed !== true);
  if (sink === undefined) await inspectOutput({ ...plan, sources }, output, { overwrite });
}

/** A base on a server has to be here to be run: the very one that was planned. */
async function copyOfBase({ models, base }: PreparedMoe, plan: Plan, { signal }: PlanRun): Promise<string | undefined> {
  const origin = plan.models[models.indexOf(base)]?.origin;
  if (origin === undefined) return undefined;
  const { localModel } = await import("../sources/local-copies.js");
  return (await localModel(origin, { signal })).path;
}
