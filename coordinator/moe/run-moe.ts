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
  /** The folder of an output that this is to be again, whose gates of hidden states it takes. @default its own, if any */
  readonly knownGates?: string | undefined;
  /** Brings the base here where it has to be run and is on a server. @default without a word */
  readonly copyHere?: CopyHere | undefined;
  /** Looks at the models before anything is planned of them. */
  readonly onOpened?: (models: readonly OpenModel[]) => Promise<void>;
  /** The same of a plan, before anything is made. */
  readonly onPlanned?: (plan: Plan) => void;
}

/** Gives the folder of a model that is on a server by now. */
export type CopyHere = (address: string, signal: AbortSignal | undefined) => Promise<string>;

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
    const known = run.knownGates ?? (await ownGates(prepared, plan, run));
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

/** The output's folder, if it may hold the gates already. */
async function ownGates({ models, base }: PreparedMoe, plan: Plan, { output }: PlanRun): Promise<string | undefined> {
  const { mayHold } = await import("./hidden/known-gates.js");
  return (await mayHold(output, base, plan, models.indexOf(base))) ? output : undefined;
}

/** A base on a server has to be here to be run: the very one that was planned. */
async function copyOfBase(
  { models, base }: PreparedMoe,
  plan: Plan,
  { signal, copyHere = copySilently }: MoeRun,
): Promise<string | undefined> {
  const origin = plan.models[models.indexOf(base)]?.origin;
  if (origin === undefined) return undefined;
  return copyHere(origin, signal);
}

async function copySilently(address: string, signal: AbortSignal | undefined): Promise<string> {
  const { localModel } = await import("../sources/local-copies.js");
  return (await localModel(address, { signal })).path;
}
