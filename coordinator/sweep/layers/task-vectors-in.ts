import { dtypeBytes, isComputable } from "../../../shared/checkpoint/dtypes.js";
import { toNumbers } from "../../../shared/checkpoint/numbers.js";
import { fileError, openRegularFile, readFully } from "../../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../../shared/errors.js";
import { addScaled } from "../../../shared/linalg/matrix.js";
import { quote } from "../../../shared/quote.js";
import type { Plan, PlannedInput, PlannedTensor } from "../../plan/types.js";

/**
 * What one tensor of a merge is made of: of each model less the base's, as f64, in the order of `models`, which are
 * numbers of the plan's. Zeros for a model without it. Fails with `usage` for tensors that are put together as they are
 * read, as adapters and other vocabularies are.
 */
export async function taskVectorsIn(
  plan: Plan,
  tensor: PlannedTensor,
  models: readonly number[],
): Promise<readonly Float64Array[]> {
  const base = tensor.inputs.find(({ model }) => plan.models[model]?.isBase === true);
  if (base === undefined) throw cannotRead(tensor, "no base in its recipe");
  const origin = await readNumbers(plan, tensor, base);
  const vectors: Float64Array[] = [];
  for (const model of models) {
    const input = tensor.inputs.find((one) => one.model === model);
    const vector = input === undefined ? origin.slice() : await readNumbers(plan, tensor, input);
    addScaled(vector, -1, origin);
    vectors.push(vector);
  }
  return vectors;
}

async function readNumbers(plan: Plan, tensor: PlannedTensor, input: PlannedInput): Promise<Float64Array> {
  const { dtype, offset } = input;
  const { path = "", name = "" } = plan.sources[input.source] ?? {};
  if (input.updates !== undefined || input.rows !== undefined || !isComputable(dtype)) {
    throw cannotRead(tensor, `${quote(plan.models[input.model]?.name ?? "")} does not store it as it is merged`);
  }
  const bytes = new Uint8Array(tensor.elements * dtypeBytes(dtype));
  try {
    const { handle } = await openRegularFile(path, { name });
    try {
      const read = await readFully(handle, bytes, offset);
      if (read === bytes.length) return Float64Array.from(toNumbers(dtype, bytes));
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(error, name);
  }
  const message = `Cannot read ${quote(tensor.name)}: ${quote(name)} shrank meanwhile`;
  throw new AmalgamError("checkpoint_changed", message);
}

function cannotRead({ name }: PlannedTensor, problem: string): AmalgamError {
  return new AmalgamError("usage", `Cannot look at the task vectors of ${quote(name)}: ${problem}`);
}
