import { Worker } from "node:worker_threads";
import { AmalgamError, type PlainError } from "../../shared/errors.js";
import type { RecipeFile } from "../recipe/recipe.js";
import type { PlanOptions } from "./plan.js";
import type { Planner } from "./planner.js";
import { MustBeStored } from "./stored-stages.js";
import type { Plan } from "./types.js";

/** What a planning thread is started with. */
export interface PlanningTask {
  readonly file: RecipeFile;
  readonly options: PlanOptions;
}

/** The thread's first answer; after a plan come its tensors, a slice for each time that they are asked for. */
export type PlanningAnswer =
  | { readonly type: "planned"; readonly plan: Omit<Plan, "tensors">; readonly tensors: number }
  | { readonly type: "tensors"; readonly tensors: Plan["tensors"] }
  | { readonly type: "must be stored"; readonly stage: number; readonly reason: string }
  | { readonly type: "failed"; readonly error: PlainError };

type PlanWithout = Extract<PlanningAnswer, { type: "planned" }>;

/** Asks for a slice of the plan's tensors. */
export interface TensorsRequest {
  readonly begin: number;
}

/** Plans of 140,000 tensors from four models take some 400 MB. */
const heapMiB = 8_192;

/**
 * In a thread of its own. A coordinator that leads several jobs must go on renewing their leases while it plans one, and
 * while it takes over the plan: that comes in slices, with a turn of the event loop between two. `signal` ends the thread.
 */
export function planInThread(signal: AbortSignal): Planner {
  return (file, options) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(AmalgamError.from(signal.reason));
      const worker = new Worker(new URL("./planning-worker.js", import.meta.url), {
        workerData: { file, options } satisfies PlanningTask,
        resourceLimits: { maxOldGenerationSizeMb: heapMiB },
      });
      const end = (settle: () => void): void => {
        signal.removeEventListener("abort", cancel);
        void worker.terminate();
        settle();
      };
      const cancel = (): void => end(() => reject(AmalgamError.from(signal.reason)));
      signal.addEventListener("abort", cancel, { once: true });
      let planned: PlanWithout | undefined;
      const tensors: Plan["tensors"][number][] = [];
      worker.on("message", (answer: PlanningAnswer) => {
        if (answer.type === "planned") planned = answer;
        else if (answer.type === "tensors") for (const tensor of answer.tensors) tensors.push(tensor);
        else if (answer.type === "must be stored") end(() => reject(new MustBeStored(answer.stage, answer.reason)));
        else end(() => reject(AmalgamError.fromPlain(answer.error)));
        if (planned === undefined) return;
        const { plan } = planned;
        if (tensors.length === planned.tensors) end(() => resolve({ ...plan, tensors }));
        else worker.postMessage({ begin: tensors.length } satisfies TensorsRequest);
      });
      worker.on("error", (error) => end(() => reject(AmalgamError.from(error))));
      worker.on("exit", (code) =>
        end(() => reject(new AmalgamError("internal", `The planning thread ended with code ${code}`))),
      );
    });
}
