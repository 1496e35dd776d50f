import { parentPort, workerData } from "node:worker_threads";
import { AmalgamError } from "../../shared/errors.js";
import { planHere } from "./planner.js";
import type { PlanningAnswer, PlanningTask, TensorsRequest } from "./planning-thread.js";
import { MustBeStored } from "./stored-stages.js";
import type { Plan } from "./types.js";

/** Tensors handed over at a time: some 20 ms of the other thread's. */
const sliceTensors = 2_000;

const { file, options } = workerData as PlanningTask;
const tell = (answer: PlanningAnswer): void => parentPort?.postMessage(answer);

function handOver({ tensors, ...plan }: Plan): void {
  parentPort?.on("message", ({ begin }: TensorsRequest) => {
    tell({ type: "tensors", tensors: tensors.slice(begin, begin + sliceTensors) });
  });
  tell({ type: "planned", plan, tensors: tensors.length });
}

try {
  handOver(await planHere(file, options));
} catch (reason) {
  if (reason instanceof MustBeStored) tell({ type: "must be stored", stage: reason.stage, reason: reason.message });
  else tell({ type: "failed", error: AmalgamError.from(reason).plain });
}
