import { dtypeBits } from "../../shared/checkpoint/dtypes.js";
import { schedule } from "../../shared/expression/passes.js";
import { rememberedMasks } from "../../shared/expression/remembered.js";
import { workerBytes } from "../../shared/expression/tiles.js";
import { isSameShape } from "../../shared/shape.js";
import { assemblyBytes, inputDtype } from "./inputs.js";
import type { Plan, PlannedTensor, Unit } from "./types.js";

/** What a plan costs to run. All sizes in bytes. */
export interface Estimate {
  /** Of all sources, once. */
  readonly bytesIn: number;
  /** Read by agents, statistics passes included. */
  readonly bytesRead: number;
  readonly bytesOut: number;
  readonly parameters: number;
  readonly units: number;
  readonly largestUnit: number;
  /**
   * What one agent needs for tensor data with this many slots; independent of the model's size. An agent that may hold
   * more keeps inputs and masks between passes.
   */
  readonly memoryPerAgent: number;
  /** Output, index, manifest and a margin: what must be free where the output goes. */
  readonly diskNeeded: number;
}

/** Copies, cards and journals: small beside any weights, and never nothing. */
const diskMargin = 1.02;

export function estimate(plan: Plan, units: readonly Unit[], slotsPerAgent: number): Estimate {
  const schedules = plan.programs.map(schedule);
  const masks = plan.programs.map((program) => rememberedMasks(program).length);
  let memoryPerWorker = 0;
  let last: PlannedTensor | undefined;
  for (const tensor of plan.tensors) {
    const { program, inputs, dtype, shape } = tensor;
    if (last !== undefined && takeAsMuch(last, tensor)) continue;
    last = isPlain(tensor) ? tensor : undefined;
    const passes = schedules[program];
    if (passes === undefined) continue;
    const bytesPerElement = [dtype, ...inputs.map(inputDtype)].reduce((sum, d) => sum + dtypeBits(d) / 8, 0);
    const assembly = inputs.reduce((total, input) => total + assemblyBytes(input, shape.at(-1) ?? 1), 0);
    memoryPerWorker = Math.max(memoryPerWorker, workerBytes(bytesPerElement, shape, passes, masks[program]) + assembly);
  }
  const bytesOut = plan.files.reduce((total, file) => total + file.bytes, 0);
  return {
    bytesIn: plan.tensors.reduce((total, { inputs }) => total + inputs.reduce((sum, input) => sum + input.bytes, 0), 0),
    bytesRead: units.reduce((total, unit) => total + unit.bytesRead, 0),
    bytesOut,
    parameters: plan.tensors.reduce((total, { elements }) => total + elements, 0),
    units: units.length,
    largestUnit: units.reduce((largest, unit) => Math.max(largest, unit.bytesWritten), 0),
    memoryPerAgent: memoryPerWorker * slotsPerAgent,
    diskNeeded: Math.ceil(bytesOut * diskMargin),
  };
}

/** Read as it is stored. */
function isPlain({ inputs }: PlannedTensor): boolean {
  return inputs.every(({ updates, rows }) => updates === undefined && rows === undefined);
}

/** Whether two tensors surely take the same memory, `a` being plain: a model has thousands in a row that do. */
function takeAsMuch(a: PlannedTensor, b: PlannedTensor): boolean {
  const { program, dtype, shape, inputs } = a;
  if (b.program !== program || b.dtype !== dtype || !isSameShape(b.shape, shape)) return false;
  return (
    isPlain(b) && b.inputs.length === inputs.length && b.inputs.every((input, i) => input.dtype === inputs[i]?.dtype)
  );
}
