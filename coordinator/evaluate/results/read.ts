import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import type { z } from "zod";
import { openRegularFile, readSmallFile } from "../../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../../shared/errors.js";
import { formatCount, quote } from "../../../shared/quote.js";
import type { EvaluationResult, ExampleRecord, TaskResult } from "../types.js";
import { type ResultsFile, recordSchema, resultsSchema, resultsVersion } from "./json.js";
import { fileNames } from "./write.js";

/** Largest results.json that is read; one of 100 models and 50 tasks takes some 5 MB. */
const maxResultsBytes = 256 << 20;

/** Largest records.jsonl that is read, since the records are held in memory. */
const maxRecordsBytes = 4 * 2 ** 30;

/**
 * Reads back what {@link writeResults} wrote.
 *
 * @throws AmalgamError `usage` with file, line and field for whatever is not as it was written, another version and
 *   missing or surplus records among it
 */
export async function readResults(directory: string): Promise<EvaluationResult> {
  const path = join(directory, fileNames.results);
  const content = await readSmallFile(path, { maxBytes: maxResultsBytes }).catch((error: AmalgamError) => {
    throw refusal(`${error.message}; name a folder that "amalgam eval --out" made`, error);
  });
  const file = parse(resultsSchema, Buffer.from(content).toString("utf8"), path);
  const records = await readRecords(join(directory, fileNames.records), file);
  return {
    version: file.madeWith,
    taskFile: file.taskFile,
    ...(file.threads === undefined ? {} : { threads: file.threads }),
    models: file.models.map((model) => ({
      ...model,
      tasks: model.tasks.map(({ records: expected, ...facts }): TaskResult => {
        const found = records.get(model.name)?.get(facts.task) ?? [];
        if (found.length !== expected) {
          const counts = `${formatCount(found.length)}, ${basename(path)} says ${formatCount(expected)}`;
          const of = `records of model ${quote(model.name)}, task ${quote(facts.task)}`;
          throw refusal(`${join(directory, fileNames.records)}  Wrong number of ${of}: there are ${counts}`);
        }
        return stripUndefined({ ...facts, records: found }) as TaskResult;
      }),
    })),
  };
}

type RecordsByTask = ReadonlyMap<string, ReadonlyMap<string, ExampleRecord[]>>;

async function readRecords(path: string, { models }: ResultsFile): Promise<RecordsByTask> {
  const byTask: RecordsByTask = new Map(
    models.map(({ name, tasks }) => [name, new Map(tasks.map(({ task }) => [task, []]))]),
  );
  const { handle, bytes } = await openRegularFile(path).catch((error: AmalgamError) => {
    throw refusal(error.message, error);
  });
  await using _ = handle;
  if (bytes > maxRecordsBytes) {
    throw refusal(`Cannot read ${quote(path)}: ${formatCount(bytes)} bytes, above the limit of ${maxRecordsBytes}`);
  }
  const lines = createInterface({ input: handle.createReadStream({ autoClose: false }), crlfDelay: Infinity });
  let number = 0;
  for await (const line of lines) {
    const place = `${path}:${++number}`;
    const { model, task, ...record } = parse(recordSchema, line, place);
    const records = byTask.get(model)?.get(task);
    if (records === undefined) {
      throw refusal(`${place}  ${fileNames.results} has no model ${quote(model)} with task ${quote(task)}`);
    }
    records.push(stripUndefined(record) as ExampleRecord);
  }
  return byTask;
}

function parse<T>(schema: z.ZodType<T>, text: string, place: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refusal(`${place}  Not JSON: ${quote(text)}`, error);
  }
  const version = (value as { version?: unknown } | null)?.version;
  if (typeof version === "number" && version !== resultsVersion) {
    throw refusal(`${place}  Results of version ${version} are not readable here, only version ${resultsVersion}`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = quote(issue?.path.join(".") ?? "");
  throw refusal(`${place}  Field ${field}: ${issue?.message ?? "not as expected"}`, parsed.error);
}

/** Without the keys that hold undefined, which types here tell from keys that are missing. */
function stripUndefined(object: object): object {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

function refusal(message: string, cause?: unknown): AmalgamError {
  return new AmalgamError("usage", message, { cause });
}
