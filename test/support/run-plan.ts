import { closeSync, openSync, readSync } from "node:fs";
import { openModels } from "../../coordinator/plan/open-models.js";
import { modelElements, planMerge } from "../../coordinator/plan/plan.js";
import type { Plan, StoredTensor } from "../../coordinator/plan/types.js";
import { readRecipe } from "../../coordinator/recipe/read.js";
import { TileMemory } from "../../node-agent/compute/wasm/memory.js";
import { type PieceEnvironment, PieceRun } from "../../node-agent/piece.js";
import { narrow } from "../../shared/checkpoint/convert.js";
import { dtypeBits } from "../../shared/checkpoint/dtypes.js";
import type { Program } from "../../shared/expression/program.js";
import { derivedInput } from "./derived-inputs.js";

/** Plans a recipe file as `amalgam plan` does. */
export async function planRecipe(file: string, options?: { shardBytes?: number }): Promise<Plan> {
  const recipe = await readRecipe(file);
  return planMerge(recipe, await openModels(recipe), options);
}

/** An input that stands in for a file, for programs that were given more inputs than their plan knows. */
export type ExtraInput = (tensor: string, place: number) => Uint8Array | undefined;

/**
 * Runs a plan's tensors one after the other in this thread: no agents, no units, no staging. `rewrite` may replace a
 * program; the inputs it adds beyond the plan's are F32 and come from `extra`. Inputs that agents put together as they
 * read are put together here by the reference.
 */
export function runPlan(
  plan: Plan,
  rewrite: (program: Program) => Program = (program) => program,
  extra: ExtraInput = () => undefined,
): ReadonlyMap<string, Uint8Array> {
  const memory = new TileMemory(512 << 20);
  const kernels: PieceEnvironment["kernels"] = new Map();
  const elements = modelElements(plan);
  const outputs = new Map<string, Uint8Array>();
  for (const tensor of plan.tensors) {
    const program = rewrite(plan.programs[tensor.program] as Program);
    const added = Array.from({ length: program.inputs - tensor.inputs.length }, (_, i) => i);
    // Behind the sources come files that are not on disk: what `extra` brings, then what is derived.
    const derived = new Map<number, Uint8Array>();
    const files = [
      ...tensor.inputs.map((input, place) => {
        const { source, offset, dtype, updates, rows } = input;
        if (updates === undefined && rows === undefined) return { file: source, offset, dtype };
        const file = plan.sources.length + added.length + place;
        derived.set(
          file,
          narrow(
            "F32",
            derivedInput(input, tensor.shape, (stored, n) => readStored(plan, stored, n)),
          ),
        );
        return { file, offset: 0, dtype: "F32" as const };
      }),
      ...added.map((i) => ({ file: plan.sources.length + i, offset: 0, dtype: "F32" as const })),
    ];
    const run = new PieceRun(
      {
        ...tensor,
        tensor: tensor.name,
        program,
        inputs: files,
        begin: 0,
        end: tensor.elements,
        statistics: [],
        modelElements: elements[tensor.program] ?? 0,
        outputDtype: tensor.dtype,
        seed: plan.seed,
      },
      {
        memory,
        kernels,
        progress: () => undefined,
        read: (file, into, position) => {
          const path = plan.sources[file]?.path;
          if (path !== undefined) readFrom(path, into, position);
          else {
            const bytes = derived.get(file) ?? extra(tensor.name, file - plan.sources.length);
            into.set(bytes?.subarray(position, position + into.length) ?? []);
          }
        },
      },
    );
    run.gatherAll();
    const parts: Uint8Array[] = [];
    run.map((bytes) => parts.push(Uint8Array.from(bytes)));
    outputs.set(tensor.name, Buffer.concat(parts));
  }
  return outputs;
}

function readStored(plan: Plan, { source, offset, dtype }: StoredTensor, elements: number): Uint8Array {
  const bytes = new Uint8Array((elements * dtypeBits(dtype)) / 8);
  readFrom(plan.sources[source]?.path ?? "", bytes, offset);
  return bytes;
}

function readFrom(path: string, into: Uint8Array, position: number): void {
  const descriptor = openSync(path, "r");
  readSync(descriptor, into, 0, into.length, position);
  closeSync(descriptor);
}
