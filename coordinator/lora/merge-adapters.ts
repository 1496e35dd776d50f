import { narrow } from "../../shared/checkpoint/convert.js";
import type { ComputableDtype } from "../../shared/checkpoint/dtypes.js";
import { AmalgamError } from "../../shared/errors.js";
import type { Matrix } from "../../shared/linalg/matrix.js";
import { transpose } from "../../shared/linalg/matrix.js";
import { quote } from "../../shared/quote.js";
import { packageVersion } from "../../shared/rpc/version.js";
import { type CombinedLicense, combineLicenses, conflictWarnings } from "../provenance/licenses/combine.js";
import { readSourceCard } from "../provenance/source-card.js";
import { type Adapter, openAdapter } from "./adapter.js";
import { formatAdapterCard } from "./adapter-card.js";
import { describeSource } from "./adapter-manifest.js";
import { addFactors, type Combination, concatenate, type Factors, recompress, type Term } from "./combine.js";
import { type MergeAdaptersJob, madeOf, nameOf } from "./merge-settings.js";
import { type AdapterModule, type AdapterModules, readModules } from "./modules.js";
import { formatConfig } from "./output-config.js";
import { readMatrix, readTensor } from "./read-factors.js";
import { factorName, wholeName } from "./tensor-names.js";
import { AdapterWriter } from "./write-adapter.js";

export interface MergedAdapters {
  readonly modules: number;
  readonly rank: number;
  /** Each a sentence. */
  readonly warnings: readonly string[];
}

interface Opened extends AdapterModules {
  readonly adapter: Adapter;
  readonly weight: number;
}

/**
 * Merges adapters of one base into one adapter: for every module, Σ weight · scale · B A of the adapters that have it.
 * Modules are done one after the other, so memory holds the factors of one.
 */
export async function mergeAdapters(job: MergeAdaptersJob): Promise<MergedAdapters> {
  const opened: Opened[] = [];
  for (const { directory, weight } of job.adapters) {
    const adapter = await openAdapter(directory);
    const read = readModules(adapter);
    const [problem] = read.problems;
    if (problem !== undefined) throw refused(directory, problem);
    opened.push({ ...read, adapter, weight });
  }
  assertFit(opened, job.combination);
  await using writer = await AdapterWriter.create(job.output);
  const ranks = new Map<string, number>();
  for (const [name, parts] of groupByModule(opened)) {
    job.signal?.throwIfAborted();
    const terms: Term[] = [];
    for (const { of, module } of parts) {
      const { checkpoint } = of.adapter;
      const a = await readMatrix(checkpoint, module.a);
      const b = transpose(await readMatrix(checkpoint, module.b));
      terms.push({ factors: { a, b }, weight: of.weight * module.scale });
    }
    const { a, b } = combine(terms, job.combination, job.rank ?? largestRank(opened), name);
    const isEmbedding = parts[0]?.module.isEmbedding ?? false;
    ranks.set(name, a.rows);
    await writeMatrix(writer, factorName(name, "A", isEmbedding), a, job.dtype);
    await writeMatrix(writer, factorName(name, "B", isEmbedding), transpose(b), job.dtype);
  }
  await copyUnderneath(opened, writer);
  const config = formatConfig({
    base: opened[0]?.adapter.config.base_model_name_or_path ?? null,
    taskType: opened[0]?.adapter.config.task_type ?? null,
    targets: targetsOf(opened, [...ranks.keys()]),
    modulesToSave: [],
    bias: "none",
    fanInFanOut: opened.some(({ adapter }) => adapter.config.fan_in_fan_out),
    headIsTied: false,
    ranks,
  });
  const sources = await Promise.all(
    opened.map(({ adapter: { checkpoint }, weight }, place) => {
      return describeSource(nameOf(job, place), checkpoint, { isBase: false, parameters: { weight } });
    }),
  );
  const cards = opened.map(({ adapter }, place) => readSourceCard(nameOf(job, place), adapter.directory));
  const license = combineLicenses(await Promise.all(cards));
  await writer.finish(config, cardOf(job, opened, license), { made: madeOf(job), sources });
  const warnings = [...warningsOf(opened), ...conflictWarnings(license)];
  return { modules: ranks.size, rank: Math.max(...ranks.values()), warnings };
}

function combine(terms: readonly Term[], combination: Combination, rank: number, module: string): Factors {
  const numbers = terms.flatMap(({ factors: { a, b } }) => [a, b]);
  if (!numbers.every(({ data }) => data.every(Number.isFinite))) {
    throw new AmalgamError(
      "checkpoint_malformed",
      `Cannot merge module ${quote(module)}: a factor has NaN or infinity`,
    );
  }
  if (combination === "svd") return recompress(terms, rank);
  return combination === "linear" ? addFactors(terms) : concatenate(terms);
}

interface Part {
  readonly of: Opened;
  readonly module: AdapterModule;
}

/** By name, in the order of names. */
function groupByModule(opened: readonly Opened[]): ReadonlyMap<string, readonly Part[]> {
  const groups = new Map<string, Part[]>();
  for (const of of opened) {
    for (const module of of.modules) {
      const group = groups.get(module.name);
      if (group === undefined) groups.set(module.name, [{ of, module }]);
      else group.push({ of, module });
    }
  }
  return new Map([...groups].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Finds from headers alone what would not work. */
function assertFit(opened: readonly Opened[], combination: Combination): void {
  for (const { adapter, whole } of opened) {
    // PEFT writes an embedding under its factors as it was; biases there were trained.
    const isTrained = adapter.config.bias !== "none";
    const own = [...whole].find(([, { isUnderneath }]) => isTrained || !isUnderneath);
    if (own === undefined) continue;
    throw refused(
      adapter.directory,
      `it replaces ${quote(own[0])}, which has no weighted sum without a base; apply the adapters to their base instead`,
    );
  }
  for (const [name, [first, ...others]] of groupByModule(opened)) {
    for (const other of others) {
      if (first === undefined) continue;
      const { module } = other;
      const refuse = (problem: string): AmalgamError =>
        refused(other.of.adapter.directory, `module ${quote(name)} ${problem} in ${quote(first.of.adapter.directory)}`);
      const [out, into] = [module.b.shape[0], module.a.shape[1]];
      const [expectedOut, expectedInto] = [first.module.b.shape[0], first.module.a.shape[1]];
      if (out !== expectedOut || into !== expectedInto || module.isEmbedding !== first.module.isEmbedding) {
        throw refuse(`is ${out} × ${into}, and ${expectedOut} × ${expectedInto}`);
      }
      if (combination === "linear" && module.rank !== first.module.rank) {
        throw refuse(`has rank ${module.rank}, and linear needs the same rank everywhere: it is ${first.module.rank}`);
      }
    }
  }
}

/** PEFT saves the base's own tensor with an adapted embedding. One copy is kept, if all are the same. */
async function copyUnderneath(opened: readonly Opened[], writer: AdapterWriter): Promise<void> {
  const written = new Map<string, { readonly bytes: Uint8Array; readonly directory: string }>();
  for (const { adapter, whole } of opened) {
    for (const [name, { tensor }] of whole) {
      const bytes = await readTensor(adapter.checkpoint, tensor);
      const before = written.get(name);
      if (before === undefined) {
        written.set(name, { bytes, directory: adapter.directory });
        await writer.add(wholeName(name, true), tensor.dtype, tensor.shape, bytes);
      } else if (Buffer.compare(before.bytes, bytes) !== 0) {
        throw refused(adapter.directory, `its base has another ${quote(name)} than that of ${quote(before.directory)}`);
      }
    }
  }
}

async function writeMatrix(writer: AdapterWriter, name: string, matrix: Matrix, dtype: ComputableDtype): Promise<void> {
  const bytes = narrow(dtype, Float32Array.from(matrix.data));
  await writer.add(name, dtype, [matrix.rows, matrix.columns], bytes);
}

function largestRank(opened: readonly Opened[]): number {
  return Math.max(1, ...opened.flatMap(({ modules }) => modules.map(({ rank }) => rank)));
}

/** What PEFT does: all lists together. An expression can match modules that only its own adapter has factors for. */
function targetsOf(opened: readonly Opened[], modules: readonly string[]): readonly string[] {
  const lists = opened.map(({ adapter }) => adapter.config.target_modules);
  return lists.every(Array.isArray) ? [...new Set(lists.flat())].toSorted() : modules;
}

function warningsOf(opened: readonly Opened[]): readonly string[] {
  const [first, ...others] = opened.map(({ adapter }) => adapter.config.base_model_name_or_path);
  const other = others.find((base) => base !== first);
  const bases =
    other === undefined ? [] : [`adapters of different bases: ${quote(first ?? "?")}, ${quote(other ?? "?")}`];
  return [
    ...bases,
    ...opened.flatMap(({ adapter, warnings }) => warnings.map((text) => `${quote(adapter.directory)}: ${text}`)),
  ];
}

function cardOf(job: MergeAdaptersJob, opened: readonly Opened[], license: CombinedLicense): string {
  const named = job.adapters.map(({ weight }, place) => {
    return weight === 1 ? nameOf(job, place) : `${nameOf(job, place)}:${weight}`;
  });
  const rank = job.rank === undefined ? [] : ["--rank", String(job.rank)];
  return formatAdapterCard({
    title: "Merged adapter",
    summary: `A merge of ${job.adapters.length} LoRA adapters into one.`,
    base: opened[0]?.adapter.config.base_model_name_or_path ?? null,
    facts: [
      ["method", job.combination],
      ...job.adapters.map(({ weight }, place) => [`weight ${weight}`, nameOf(job, place)] as const),
    ],
    command: ["amalgam", "merge-adapters", ...named, "merged-adapter", "--method", job.combination, ...rank],
    amalgam: packageVersion(),
    license,
  });
}

function refused(directory: string, problem: string): AmalgamError {
  return new AmalgamError("checkpoint_mismatch", `Cannot merge adapter ${quote(directory)}: ${problem}`, {
    details: { file: directory },
  });
}
