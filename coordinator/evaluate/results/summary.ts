import type { Estimate, EvaluationResult, ModelResult, TaskResult } from "../types.js";

/** A task, as a column of a table. */
export interface TaskColumn {
  readonly name: string;
  readonly metric: string;
  readonly higherIsBetter: boolean;
  /** The model that is its expert. */
  readonly expert: string | undefined;
}

/** How one model does on one task. */
export interface Cell {
  readonly estimate: Estimate;
  /**
   * Against the task's expert: model/expert, and expert/model of a metric where lower is better, so that 1 is as good
   * as the expert and more is better. Undefined without an expert, or where a ratio means nothing: a divisor of zero or
   * less, or no number.
   */
  readonly normalized: number | undefined;
  /** The same against the base: model/base, or base/model. */
  readonly againstBase: number | undefined;
  /** How much worse than the base, in the metric's own unit; 0 when better. Undefined without a base. */
  readonly forgotten: number | undefined;
}

/**
 * What one model comes to over all tasks. A mean is undefined when the model lacks a number for one of the tasks that
 * count: means over different tasks cannot be compared.
 */
export interface ModelSummary {
  readonly name: string;
  readonly role: ModelResult["role"];
  /** In the order of the tasks; undefined where the model was not evaluated. */
  readonly cells: readonly (Cell | undefined)[];
  /** Over the tasks where higher is better, since a perplexity has no place in a mean of accuracies. */
  readonly meanRaw: number | undefined;
  /** Over the tasks that have an expert. */
  readonly meanNormalized: number | undefined;
  /** The task that lies furthest below the expert, an expert's own left out; without experts, below the base. */
  readonly worst: { readonly task: string; readonly ratio: number } | undefined;
  /** Mean of what was forgotten, over the tasks where higher is better. */
  readonly meanForgotten: number | undefined;
  /** Mean of model/base over the tasks that have no expert: MergeBench's forgetting (He et al. 2025), 1 for none. */
  readonly retained: number | undefined;
  /** Mean minus that of the best single model; undefined for single models and without any. */
  readonly gapToBestSingle: number | undefined;
}

export interface Summary {
  readonly tasks: readonly TaskColumn[];
  readonly models: readonly ModelSummary[];
  /** What `gapToBestSingle` and the best merge are judged by: normalised where all of a model's tasks allow, else raw. */
  readonly judgedBy: "meanNormalized" | "meanRaw";
  /** The best of base and experts. */
  readonly bestSingle: string | undefined;
  /** The best of the models that are neither base nor expert, where there are two or more. */
  readonly bestMerge: string | undefined;
}

/** What the results of all models come to. Pure. */
export function summarize({ models }: EvaluationResult): Summary {
  const tasks = columnsOf(models);
  const rows = models.map((model) => summarizeModel(model, tasks, models));
  const judgedBy = rows.some((row) => row.meanNormalized !== undefined) ? "meanNormalized" : "meanRaw";
  const ranked = rows
    .filter((row) => row[judgedBy] !== undefined)
    .toSorted((a, b) => (b[judgedBy] ?? 0) - (a[judgedBy] ?? 0));
  const single = ranked.find(({ role }) => role !== "model");
  const merges = ranked.filter(({ role }) => role === "model");
  return {
    tasks,
    models: rows.map((row) => ({
      ...row,
      gapToBestSingle: row.role === "model" ? minus(row[judgedBy], single?.[judgedBy]) : undefined,
    })),
    judgedBy,
    bestSingle: single?.name,
    bestMerge: merges.length > 1 ? merges[0]?.name : undefined,
  };
}

/** Every task that some model was evaluated on, in the order of their first appearance. */
function columnsOf(models: readonly ModelResult[]): readonly TaskColumn[] {
  const columns = new Map<string, TaskColumn>();
  for (const result of models.flatMap((model) => model.tasks)) {
    if (columns.has(result.task)) continue;
    const higherIsBetter = result.metrics[result.metric]?.higherIsBetter ?? true;
    const { task: name, metric, expert } = result;
    columns.set(name, { name, metric, higherIsBetter, expert });
  }
  return [...columns.values()];
}

function summarizeModel(
  model: ModelResult,
  tasks: readonly TaskColumn[],
  models: readonly ModelResult[],
): Omit<ModelSummary, "gapToBestSingle"> {
  const base = models.find(({ role }) => role === "base");
  const hasExperts = tasks.some(({ expert }) => expert !== undefined);
  const cells = tasks.map((task): Cell | undefined => {
    const estimate = estimateOf(model, task);
    if (estimate === undefined) return undefined;
    const { value } = estimate;
    const expert = estimateOf(
      models.find(({ name }) => name === task.expert),
      task,
    )?.value;
    const before = estimateOf(base, task)?.value;
    return {
      estimate,
      normalized: ratio(value, expert, task),
      againstBase: ratio(value, before, task),
      forgotten: before === undefined ? undefined : Math.max(0, task.higherIsBetter ? before - value : value - before),
    };
  });
  const over = (counts: (task: TaskColumn) => boolean, number: (cell: Cell) => number | undefined) =>
    mean(cells.filter((_, i) => counts(tasks[i] as TaskColumn)).map((cell) => cell && number(cell)));
  const ratios = tasks.flatMap(({ name, expert }, i) => {
    const cell = cells[i];
    const found = hasExperts ? cell?.normalized : cell?.againstBase;
    return found === undefined || model.name === expert ? [] : [{ task: name, ratio: found }];
  });
  return {
    name: model.name,
    role: model.role,
    cells,
    meanRaw: over(
      (task) => task.higherIsBetter,
      (cell) => cell.estimate.value,
    ),
    meanNormalized: over(
      (task) => task.expert !== undefined,
      (cell) => cell.normalized,
    ),
    worst: model === base && !hasExperts ? undefined : ratios.toSorted((a, b) => a.ratio - b.ratio)[0],
    meanForgotten: over(
      (task) => task.higherIsBetter,
      (cell) => cell.forgotten,
    ),
    retained: over(
      (task) => task.expert === undefined,
      (cell) => cell.againstBase,
    ),
  };
}

/** What a model scores on a task by the metric that stands for it. */
function estimateOf(model: ModelResult | undefined, task: TaskColumn): Estimate | undefined {
  const result: TaskResult | undefined = model?.tasks.find(({ task: name }) => name === task.name);
  return result?.metrics[task.metric];
}

function ratio(value: number, reference: number | undefined, task: TaskColumn): number | undefined {
  if (reference === undefined) return undefined;
  const [over, under] = task.higherIsBetter ? [value, reference] : [reference, value];
  const found = over / under;
  return under > 0 && Number.isFinite(found) ? found : undefined;
}

function mean(numbers: readonly (number | undefined)[]): number | undefined {
  const known = numbers.filter((number) => number !== undefined && Number.isFinite(number)) as readonly number[];
  if (known.length === 0 || known.length < numbers.length) return undefined;
  return known.reduce((sum, number) => sum + number, 0) / known.length;
}

function minus(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a - b;
}
