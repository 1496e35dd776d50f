import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { narrow } from "../../shared/checkpoint/convert.js";
import { type ComputableDtype, isComputable } from "../../shared/checkpoint/dtypes.js";
import { type Checkpoint, type CheckpointTensor, openCheckpoint } from "../../shared/checkpoint/open.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { packageVersion } from "../../shared/rpc/version.js";
import { connectAgents } from "../dispatch/agents.js";
import { dispatch } from "../dispatch/dispatcher.js";
import { startLocalAgents } from "../dispatch/local-agents.js";
import type { LocalAgentsWanted } from "../job/types.js";
import { type CombinedLicense, combineLicenses, conflictWarnings } from "../provenance/licenses/combine.js";
import { readSourceCard } from "../provenance/source-card.js";
import { formatAdapterCard } from "./adapter-card.js";
import { describeSource } from "./adapter-manifest.js";
import { commandOf, type ExtractSettings, madeOf, namesOf } from "./extract-settings.js";
import { type Decomposed, type Extraction, planExtraction } from "./extraction.js";
import { type Factorization, factorize, type MatrixSource } from "./factorize.js";
import { baseModelOf, formatConfig } from "./output-config.js";
import { readTensor } from "./read-factors.js";
import { factorName, wholeName } from "./tensor-names.js";
import { AdapterWriter } from "./write-adapter.js";

export interface ExtractJob extends ExtractSettings {
  readonly output: string;
  readonly agents: LocalAgentsWanted;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: (event: ExtractEvent) => void;
}

export type ExtractEvent =
  | {
      readonly type: "planned";
      readonly matrices: number;
      readonly saved: number;
      readonly warnings: readonly string[];
    }
  | { readonly type: "factorized"; readonly module: string; readonly rank: number };

export interface Extracted {
  /** By module. Modules that did not change are not among them. */
  readonly ranks: ReadonlyMap<string, number>;
  readonly saved: number;
  readonly warnings: readonly string[];
}

/** Extracts the adapter that turns a base into a model, as nearly as its rank allows. Agents factorize, we write. */
export async function extractLora(job: ExtractJob): Promise<Extracted> {
  const [model, base] = await Promise.all([openCheckpoint(job.model), openCheckpoint(job.base)]);
  const extraction = planExtraction(model, base, job.options);
  const names = namesOf(job);
  const license = combineLicenses([
    await readSourceCard(names.model, model.directory),
    await readSourceCard(names.base, base.directory),
  ]);
  const { decomposed, saved } = extraction;
  const warnings = [...extraction.warnings, ...conflictWarnings(license)];
  if (decomposed.length + saved.length === 0) {
    throw new AmalgamError("usage", `Cannot extract an adapter from ${quote(job.model)}: every module is left out`);
  }
  job.onEvent?.({ type: "planned", matrices: decomposed.length, saved: saved.length, warnings });
  await using writer = await AdapterWriter.create(job.output);
  const ranks = new Map<string, number>();
  await factorizeAll(job, model, base, decomposed, async (matrix, factors) => {
    const rank = factors.values.length;
    if (rank > 0) {
      ranks.set(matrix.module, rank);
      await writeFactors(writer, matrix, factors, job);
    }
    job.onEvent?.({ type: "factorized", module: matrix.module, rank });
  });
  for (const { name: plain, tensor, isUnderneath } of saved) {
    job.signal?.throwIfAborted();
    const module = tensor.name.slice(0, tensor.name.lastIndexOf("."));
    // Without factors there is nothing for it to be underneath of.
    const name = wholeName(plain, isUnderneath && ranks.has(module));
    await writer.add(name, tensor.dtype, tensor.shape, await readTensor(model, tensor));
  }
  const sources = await Promise.all([
    describeSource(names.model, model, { isBase: false, parameters: {} }),
    describeSource(names.base, base, { isBase: true, parameters: {} }),
  ]);
  await writer.finish(configOf(job, model, extraction, ranks), cardOf(job, ranks, license), {
    made: madeOf(job),
    sources,
  });
  return { ranks, saved: saved.length, warnings };
}

async function factorizeAll(
  job: ExtractJob,
  model: Checkpoint,
  base: Checkpoint,
  decomposed: readonly Decomposed[],
  take: (matrix: Decomposed, factors: Factorization) => Promise<void>,
): Promise<void> {
  if (decomposed.length === 0) return;
  const [ofModel, ofBase] = await Promise.all([sourcesOf(model), sourcesOf(base)]);
  const roots = [...new Set([...model.files, ...base.files].map(({ path }) => dirname(path)))];
  await using local = await startLocalAgents({ ...job.agents, roots });
  const signal = job.signal === undefined ? {} : { signal: job.signal };
  await using agents = await connectAgents(local.addresses, signal);
  local.onExit((address, reason) => agents.remove(address, reason));
  const matrices = decomposed.map((matrix, id) => {
    return { id, matrix, bytesRead: matrix.tensor.bytes + matrix.base.bytes, bytesWritten: 0 };
  });
  const results = dispatch(matrices, {
    ...signal,
    agents,
    tensorsOf: ({ matrix }) => [matrix.tensor.name],
    run: async ({ unit: { matrix }, agent, signal: ended }) => {
      const [rows = 0, columns = 0] = matrix.tensor.shape;
      const task = {
        ...{ name: matrix.tensor.name, rows, columns, rank: job.maxRank, epsilon: job.epsilon },
        matrix: ofModel(matrix.tensor),
        base: ofBase(matrix.base),
      };
      return { matrix, factors: await factorize(agent, task, ended) };
    },
  });
  for await (const { matrix, factors } of results) await take(matrix, factors);
}

async function sourcesOf({ files }: Checkpoint): Promise<(tensor: CheckpointTensor) => MatrixSource> {
  const sources = await Promise.all(
    files.map(async ({ path, bytes }) => ({ path, fileBytes: bytes, modifiedMs: (await stat(path)).mtimeMs })),
  );
  return ({ name, file, offset, dtype }) => {
    const source = sources[file];
    if (source === undefined) throw new TypeError(`Tensor ${quote(name)} is in no file`);
    return { ...source, offset, dtype };
  };
}

/** W = U diag(σ) Vᵀ as B A; where W is stored transposed, its left vectors are A's. */
async function writeFactors(
  writer: AdapterWriter,
  { module, tensor, isEmbedding, transposed }: Decomposed,
  { values, left, right }: Factorization,
  job: ExtractJob,
): Promise<void> {
  const rank = values.length;
  const [ofA, ofB] = transposed ? [left, right] : [right, left];
  const inA = values.map((value) => (job.distributeScale ? Math.sqrt(value) : value));
  const inB = values.map((value) => (job.distributeScale ? Math.sqrt(value) : 1));
  const [into, out] = [ofA.length / rank, ofB.length / rank];
  const a = new Float32Array(ofA.length);
  const b = new Float32Array(ofB.length);
  for (let k = 0; k < rank; k += 1) {
    for (let i = 0; i < into; i += 1) a[k * into + i] = (inA[k] ?? 0) * (ofA[k * into + i] ?? 0);
    for (let i = 0; i < out; i += 1) b[i * rank + k] = (inB[k] ?? 0) * (ofB[k * out + i] ?? 0);
  }
  const dtype = job.dtype ?? factorDtype(tensor);
  await writer.add(factorName(module, "A", isEmbedding), dtype, [rank, into], narrow(dtype, a));
  await writer.add(factorName(module, "B", isEmbedding), dtype, [out, rank], narrow(dtype, b));
}

/** The model's own, but nothing wider than what was computed and nothing that holds no factors. */
function factorDtype({ dtype }: CheckpointTensor): ComputableDtype {
  if (!isComputable(dtype) || dtype === "F64") return "F32";
  return dtype === "F8_E4M3" || dtype === "F8_E5M2" ? "BF16" : dtype;
}

function configOf(
  job: ExtractJob,
  model: Checkpoint,
  { saved, modulesToSave, savesTiedHead, fanInFanOut }: Extraction,
  ranks: ReadonlyMap<string, number>,
): Record<string, unknown> {
  return formatConfig({
    ...baseModelOf(namesOf(job).base),
    taskType: "CAUSAL_LM",
    targets: targetsOf(model, ranks),
    modulesToSave,
    bias: saved.some(({ isUnderneath }) => isUnderneath) ? "lora_only" : "none",
    fanInFanOut,
    headIsTied: savesTiedHead,
    ranks,
  });
}

/** The last part of a name where all modules that end with it are adapted, else the whole name. */
function targetsOf({ tensors }: Checkpoint, ranks: ReadonlyMap<string, number>): readonly string[] {
  const leafOf = (module: string): string => module.slice(module.lastIndexOf(".") + 1);
  const modules = [...tensors.keys()].filter((name) => name.endsWith(".weight")).map((name) => name.slice(0, -7));
  const incomplete = new Set(modules.filter((module) => !ranks.has(module)).map(leafOf));
  const targets = [...ranks.keys()].map((module) => (incomplete.has(leafOf(module)) ? module : leafOf(module)));
  return [...new Set(targets)].toSorted();
}

function cardOf(job: ExtractJob, ranks: ReadonlyMap<string, number>, license: CombinedLicense): string {
  return formatAdapterCard({
    title: "Extracted adapter",
    summary: "A LoRA adapter, extracted from a fine-tuned model by a singular value decomposition of its difference.",
    base: baseModelOf(namesOf(job).base).base,
    facts: [
      ["model", namesOf(job).model],
      ["base", namesOf(job).base],
      ["largest rank", String(Math.max(0, ...ranks.values()))],
      ["modules", String(ranks.size)],
    ],
    command: ["amalgam", ...commandOf(madeOf(job))],
    amalgam: packageVersion(),
    license,
  });
}
