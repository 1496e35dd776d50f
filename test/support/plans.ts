import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { PieceResult } from "../../coordinator/assemble/pieces.js";
import { bytesOf, tensorOf } from "../../coordinator/assemble/pieces.js";
import type { Staging } from "../../coordinator/assemble/staging.js";
import { missingRanges } from "../../coordinator/plan/ranges.js";
import type { OutputFile, Plan, PlannedSource, PlannedTensor } from "../../coordinator/plan/types.js";
import { type Dtype, dtypeBits } from "../../shared/checkpoint/dtypes.js";
import { formatHeader } from "../../shared/checkpoint/header.js";
import { randomFrom, randomTensor, writeCheckpoint } from "./checkpoints.js";

export const testRecipe = "merge_method: linear\nmodels:\n  - model: ./a\n  - model: ./b\n";

/** The attempt that test pieces come from. */
export const testAttempt = { unit: 0, epoch: 1, agent: "test" };

export interface TestPlanOptions {
  /** The output, file by file. @default two files with three tensors */
  readonly files?: readonly (readonly (readonly [name: string, dtype: Dtype, shape: readonly number[]])[])[];
  /** Changes the digest, as another recipe would. @default "" */
  readonly salt?: string;
}

const usualFiles: NonNullable<TestPlanOptions["files"]> = [
  [
    ["embed.weight", "BF16", [40, 16]],
    ["norm.weight", "BF16", [16]],
  ],
  [["head.weight", "BF16", [24, 16]]],
];

/**
 * A plan over two real models in `directory`, `a` and `b`, made if need be. What its output's bytes are is decided by
 * {@link outputBytes}, so that assembly can be tested without computing anything.
 */
export async function makePlan(directory: string, options: TestPlanOptions = {}): Promise<Plan> {
  const files = options.files ?? usualFiles;
  const sources = await Promise.all(["a", "b"].map((name, model) => makeModel(join(directory, name), model)));
  const tensors: PlannedTensor[] = [];
  const outputs: OutputFile[] = [];
  for (const [file, entries] of files.entries()) {
    const header = formatHeader(entries.map(([name, dtype, shape]) => ({ name, dtype, shape })));
    let offset = header.length;
    for (const [name, dtype, shape] of entries) {
      const elements = shape.reduce((count, size) => count * size, 1);
      const bytes = (elements * dtypeBits(dtype)) / 8;
      const inputs = sources.map((_, source) => ({ model: source, source, offset: 0, dtype, bytes }));
      tensors.push({ name, dtype, shape, elements, bytes, program: 0, parameters: [], inputs, file, offset });
      offset += bytes;
    }
    outputs.push({ name: nameOf(file, files.length), header, bytes: offset });
  }
  const digest = createHash("sha256")
    .update(JSON.stringify([tensors, outputs.map(({ name, bytes }) => [name, bytes]), options.salt ?? ""]))
    .digest("hex");
  return {
    method: "linear",
    seed: 0,
    models: ["a", "b"].map((name) => ({
      name: `./${name}`,
      directory: join(directory, name),
      isBase: false,
      tensors: 1,
      bytes: 64,
      dtypes: { F32: 1 },
      parameters: { weight: 0.5 },
    })),
    sources,
    programs: [{ nodes: [{ op: "input", args: [], value: 0 }], output: 0, inputs: 2, parameters: [] }],
    tensors,
    files: outputs,
    companions: { configFrom: 0, configEdits: [], tokenizerFrom: 0, files: new Map(), withheld: [] },
    warnings: [],
    digest,
  };
}

/** What the output's bytes for a piece should be; they depend on nothing but the tensor and the place. */
export function outputBytes(plan: Plan, piece: { tensor: number; begin: number; end: number }): Uint8Array {
  const planned = tensorOf(plan, piece.tensor);
  const random = randomFrom(crc32(planned.name));
  const whole = new Uint8Array(planned.bytes).map(() => Math.floor(random() * 256));
  const { begin, end } = bytesOf(planned, piece);
  return whole.subarray(begin - planned.offset, end - planned.offset);
}

/** The receipt for a piece with {@link outputBytes}. */
export function resultFor(plan: Plan, piece: { tensor: number; begin: number; end: number }): PieceResult {
  const data = outputBytes(plan, piece);
  const numbers = { nonFinite: 0, overflowed: 0, largest: 1, inputsNonFinite: [0, 0] };
  return { ...piece, bytes: data.length, crc32: crc32(data), ...numbers };
}

/** All that is missing, in pieces of at most `elements`. */
export function missingPieces(staging: Staging, elements: number): { tensor: number; begin: number; end: number }[] {
  return staging.parts.plan.tensors.flatMap((planned, tensor) =>
    missingRanges(staging.done.get(tensor) ?? [], { begin: 0, end: planned.elements }).flatMap((gap) =>
      Array.from({ length: Math.ceil((gap.end - gap.begin) / elements) }, (_, i) => ({
        tensor,
        begin: gap.begin + i * elements,
        end: Math.min(gap.end, gap.begin + (i + 1) * elements),
      })),
    ),
  );
}

/** Does what agents do: puts pieces in place. Accepting them is another step. */
export async function writePieces(
  staging: Staging,
  pieces: readonly { tensor: number; begin: number; end: number }[],
): Promise<PieceResult[]> {
  const { plan } = staging.parts;
  for (const piece of pieces) {
    const planned = tensorOf(plan, piece.tensor);
    await staging.writeChunk(planned.file, bytesOf(planned, piece).begin, outputBytes(plan, piece));
  }
  return pieces.map((piece) => resultFor(plan, piece));
}

/** Everything that is missing, written and accepted; returns how many pieces that took. */
export async function completeStaging(staging: Staging, elements = 100): Promise<number> {
  const pieces = missingPieces(staging, elements);
  for (const piece of pieces) await staging.accept(await writePieces(staging, [piece]), testAttempt);
  return pieces.length;
}

/** SHA-256 of every file of a directory, by name. */
export async function hashDirectory(directory: string): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const name of (await readdir(directory)).sort()) {
    hashes[name] = createHash("sha256")
      .update(await readFile(join(directory, name)))
      .digest("hex");
  }
  return hashes;
}

async function makeModel(directory: string, model: number): Promise<PlannedSource> {
  const path = join(directory, "model.safetensors");
  if ((await stat(path).catch(() => undefined)) === undefined) {
    await mkdir(directory, { recursive: true });
    const config = { architectures: ["TestModel"], rope_theta: 10000.5, torch_dtype: "float32" };
    await writeCheckpoint(directory, { "embed.weight": randomTensor(model, [4, 4]) }, { config });
    await writeFile(join(directory, "tokenizer.json"), `{"model":${model}}\n`);
    await writeFile(join(directory, "tokenizer_config.json"), "{}\n");
  }
  const { size, mtimeMs } = await stat(path);
  const headerSha256 = createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
  return { model, name: "model.safetensors", path, bytes: size, headerSha256, modifiedMs: mtimeMs };
}

function nameOf(file: number, files: number): string {
  if (files === 1) return "model.safetensors";
  return `model-${String(file + 1).padStart(5, "0")}-of-${String(files).padStart(5, "0")}.safetensors`;
}
