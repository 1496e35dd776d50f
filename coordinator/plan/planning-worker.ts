import { parentPort, workerData } from "node:worker_threads";
import { AmalgamError } from "../../shared/errors.js";
import { planHere } from "./planner.js";
import type { PlanningAnswer, PlanningTask } from "./planning-thread.js";
import { MustBeStored } from "./stored-stages.js";

const { file, options } = workerData as PlanningTask;

async function plan(): Promise<PlanningAnswer> {
  try {
    return { type: "planned", plan: await planHere(file, options) };
  } catch (reason) {
    if (reason instanceof MustBeStored) return { type: "must be stored", stage: reason.stage, reason: reason.message };
    return { type: "failed", error: AmalgamError.from(reason).plain };
  }
}

parentPort?.postMessage(await plan());
