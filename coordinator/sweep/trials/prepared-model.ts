import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeOrphans } from "../../../shared/child/orphans.js";
import { OwnFolder } from "../../../shared/child/own-folder.js";
import type { PrepareContext, Prepared } from "../../evaluate/kinds/context.js";
import { prepareTask } from "../../evaluate/kinds/prepare.js";
import { digestOf } from "../../evaluate/outputs.js";
import { type GraphTarget, prepareContext, type RowCache } from "../../evaluate/prepare-context.js";
import type { Subject } from "../../evaluate/subject.js";
import type { ExampleRecord } from "../../evaluate/types.js";
import { tapsOutput } from "../../graphs/taps.js";
import type { Plan } from "../../plan/types.js";
import { type BatchBlob, batchBlobs, type HeldBytes } from "./blobs.js";
import { type ExampleRows, exampleData, type TaskParts } from "./task-parts.js";
import { describeUnstored, structureOf } from "./unstored.js";

/** Some examples of one task, ready for models of one structure. */
export class PreparedPart {
  readonly rows: ExampleRows;
  readonly prepared: Prepared;
  /** Of examples, settings and graphs: what decides the records besides the weights. Hex SHA-256. */
  readonly digest: string;
  readonly #held: HeldBytes;
  #blobs: Promise<readonly BatchBlob[]> | undefined;

  constructor(rows: ExampleRows, prepared: Prepared, held: HeldBytes) {
    this.rows = rows;
    this.prepared = prepared;
    this.digest = createHash("sha256")
      .update(`${digestOf(prepared)}/${prepared.digest}`)
      .digest("hex");
    this.#held = held;
  }

  /** Its batches as agents keep them, made when first asked for. */
  blobs(): Promise<readonly BatchBlob[]> {
    this.#blobs ??= batchBlobs(this.prepared, this.#held).catch((reason: unknown) => {
      this.#blobs = undefined;
      throw reason;
    });
    return this.#blobs;
  }

  /** The records by the names that examples have in the whole task: without ids of their own they count from 0 in each part. */
  named(records: readonly ExampleRecord[]): readonly ExampleRecord[] {
    const { task, places } = this.rows;
    if (task.kind === "retrieval" || task.settings.id !== undefined) return records;
    return records.map((record, i) => ({ ...record, id: String(places[i] ?? record.id) }));
  }
}

/** All tasks, ready for models of one structure. */
export interface PreparedModel {
  /** Task by task, and of each the parts in order. */
  readonly parts: readonly PreparedPart[];
  /** Elements of all tensors. */
  readonly parameters: number;
}

export interface PrepareOptions {
  readonly tasks: readonly TaskParts[];
  readonly rows: RowCache;
  readonly target: GraphTarget;
  readonly held: HeldBytes;
  readonly signal: AbortSignal;
}

/** Structures whose tasks are kept: a sweep has one, and more where it varies dtypes or tokenizers. */
const maxModels = 16;

/** Prepares a sweep's tasks once for all merges that differ in numbers only. */
export class PreparedModels implements AsyncDisposable {
  readonly #options: PrepareOptions;
  /** By {@link structureOf}. */
  readonly #described = new Map<string, Promise<{ readonly subject: Subject; readonly content: string }>>();
  /** By content of the small files, and tensors: models under different names are often alike. */
  readonly #prepared = new Map<string, Promise<PreparedModel>>();
  #folder: Promise<OwnFolder> | undefined;
  #folders = 0;

  constructor(options: PrepareOptions) {
    this.#options = options;
  }

  /** Fails as an evaluation of the merged model would before it runs. */
  async of(plan: Plan): Promise<PreparedModel> {
    const { subject, content } = await remember(this.#described, structureOf(plan), () => this.#describe(plan));
    return remember(this.#prepared, content, () => this.#prepare(subject));
  }

  /**
   * The first examples of a task that are not held out, each by itself, asked for the inputs of the model's linear layers.
   * Fails with `checkpoint_mismatch` where it cannot be looked into.
   */
  async tapped(plan: Plan, task: string, examples: number): Promise<PreparedPart> {
    const { tasks, rows: cache, target, held, signal } = this.#options;
    const { subject } = await remember(this.#described, structureOf(plan), () => this.#describe(plan));
    const searched = tasks
      .flatMap(({ parts }) => parts)
      .filter((one) => one.task.name === task && one.part !== "held out");
    const [first] = searched;
    if (first === undefined) throw new RangeError(`No examples of task "${task}"`);
    const places = searched.flatMap((one) => one.places).slice(0, examples);
    const rows = searched.flatMap((one) => one.rows).slice(0, examples);
    const part = { ...first, task: { ...first.task, batchExamples: 1 }, places, rows };
    const context = withRows(prepareContext(subject, cache, target, signal), part);
    const prepared = await prepareTask(part.task, {
      ...context,
      graphs: (needs) => context.graphs({ ...needs, taps: true }),
    });
    const measure = { kind: "vectors", graph: "body", output: tapsOutput } as const;
    // An example may be several texts, and a corpus is no example at all: as many as were asked for, from all of them.
    const { batches } = prepared;
    const count = Math.min(examples, batches.length);
    const chosen = Array.from({ length: count }, (_, i) => Math.floor((i * batches.length) / count));
    return new PreparedPart(
      part,
      {
        ...prepared,
        batches: chosen.flatMap((at) => batches[at] ?? []).map((batch) => ({ ...batch, measure })),
        load: async (batch) => ({ inputs: (await prepared.load(chosen[batch] ?? batch)).inputs }),
      },
      held,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#described.values(), ...this.#prepared.values()]);
    const folder = await this.#folder?.catch(() => undefined);
    folder?.[Symbol.dispose]();
  }

  async #describe(plan: Plan): Promise<{ readonly subject: Subject; readonly content: string }> {
    this.#folder ??= makeFolder();
    this.#folders += 1;
    const folder = join((await this.#folder).path, String(this.#folders));
    await mkdir(folder);
    const { subject, files } = await describeUnstored(plan, folder);
    const tensors = [...subject.checkpoint.tensors.values()].map(({ name, dtype, shape }) => [name, dtype, shape]);
    const small = files.map(({ name, sha256 }) => [name, sha256]);
    return {
      subject,
      content: createHash("sha256")
        .update(JSON.stringify([tensors, small]))
        .digest("hex"),
    };
  }

  async #prepare(subject: Subject): Promise<PreparedModel> {
    const { tasks, rows, target, held, signal } = this.#options;
    const context = prepareContext(subject, rows, target, signal);
    const parts: PreparedPart[] = [];
    for (const part of tasks.flatMap((task) => task.parts)) {
      parts.push(new PreparedPart(part, await prepareTask(part.task, withRows(context, part)), held));
    }
    return { parts, parameters: subject.parameters };
  }
}

/** A context in which a task's examples are these. */
function withRows(context: PrepareContext, { task, rows }: ExampleRows): PrepareContext {
  const data = exampleData(task);
  return {
    ...context,
    readRows: (source, options) => (source === data ? Promise.resolve(rows) : context.readRows(source, options)),
  };
}

const folderPrefix = "amalgam-sweep-";

/** For small files of models; and away with those of sweeps that were killed. */
async function makeFolder(): Promise<OwnFolder> {
  await removeOrphans(tmpdir(), folderPrefix);
  return new OwnFolder(tmpdir(), folderPrefix);
}

/** What is known, or what `make` makes; what fails is tried again the next time. */
function remember<T>(known: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = make();
  known.set(key, made);
  made.catch(() => known.delete(key));
  const [oldest] = known.size > maxModels ? known.keys() : [];
  if (oldest !== undefined) known.delete(oldest);
  return made;
}
