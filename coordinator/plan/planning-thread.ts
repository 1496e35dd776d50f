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

export type PlanningAnswer =
  | { readonly type: "planned"; readonly plan: Plan }
  | { readonly type: "must be stored"; readonly stage: number; readonly reason: string }
  | { readonly type: "failed"; readonly error: PlainError };

/** Plans of 140,000 tensors from four models take some 600 MB. */
const heapMiB = 8_192;

/**
 * In a thread of its own. A coordinator that leads several jobs must go on renewing their leases while it plans one.
 * `signal` ends the thread.
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
      worker.on("message", (answer: PlanningAnswer) =>
        end(() => {
          if (answer.type === "planned") resolve(answer.plan);
          else if (answer.type === "must be stored") reject(new MustBeStored(answer.stage, answer.reason));
          else reject(AmalgamError.fromPlain(answer.error));
        }),
      );
      worker.on("error", (error) => end(() => reject(AmalgamError.from(error))));
      worker.on("exit", (code) =>
        end(() => reject(new AmalgamError("internal", `The planning thread ended with code ${code}`))),
      );
    });
}
