import { closeSync, openSync, readSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { openModels } from "../../coordinator/plan/open-models.js";
import { modelElements, planMerge } from "../../coordinator/plan/plan.js";
import type { Plan } from "../../coordinator/plan/types.js";
import { parseRecipe } from "../../coordinator/recipe/parse.js";
import { TileMemory } from "../../node-agent/compute/wasm/memory.js";
import { type PieceEnvironment, PieceRun } from "../../node-agent/piece.js";
import type { Program } from "../../shared/expression/program.js";

/** Plans a recipe file as `amalgam plan` does. */
export async function planRecipe(file: string, options?: { shardBytes?: number }): Promise<Plan> {
  const recipe = parseRecipe(await readFile(file, "utf8"), file);
  return planMerge(recipe, await openModels(recipe), options);
}

/** An input that stands in for a file, for programs that were given more inputs than their plan knows. */
export type ExtraInput = (tensor: string, place: number) => Uint8Array | undefined;

/**
 * Runs a plan's tensors one after the other in this thread: no agents, no units, no staging. `rewrite` may replace a
 * program; the inputs it adds beyond the plan's are F32 and come from `extra`.
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
    const files = [
      ...tensor.inputs.map(({ source, offset, dtype }) => ({ file: source, offset, dtype })),
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
          if (path === undefined) {
            const bytes = extra(tensor.name, file - plan.sources.length);
            into.set(bytes?.subarray(position, position + into.length) ?? []);
            return;
          }
          const descriptor = openSync(path, "r");
          readSync(descriptor, into, 0, into.length, position);
          closeSync(descriptor);
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
