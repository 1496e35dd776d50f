import { quote, quoteList } from "../../../shared/quote.js";
import type { Complaints } from "../../recipe/complaints.js";
import { quoteAll } from "../../recipe/wording.js";
import type { Space } from "../space.js";
import { defaultRungs } from "../trials/split.js";
import type { SweepSpec, SweepTasks } from "../types.js";
import { type Goals, tasksOf } from "./goals.js";
import type { ReadObjective } from "./objectives.js";

/** Stands for the examples of a task, of which there is no number before its data is read. */
const assumedExamples = 1_000_000;

/** The parts of a sweep that must go together. */
export interface Problem {
  readonly search: SweepSpec["search"];
  readonly space: Space;
  readonly goals: Goals;
  readonly objectives: readonly ReadObjective[];
  readonly tasks: Pick<SweepTasks, "rungs" | "limit">;
  readonly experts: ReadonlyMap<string, string>;
  readonly hasBudget: boolean;
  /** Nothing was wrong so far: a search can be asked about the space, which else may not be what its author meant. */
  readonly isSpace: boolean;
}

/** Complains of a search that cannot search this, or would never end. */
export function checkSearch(problem: Problem, complaints: Complaints): void {
  const { search, space, objectives, tasks, experts, hasBudget } = problem;
  const { kind, options, at } = search;
  if (kind.ends === false && !hasBudget) {
    complaints.add(at, `Search ${quote(kind.name)} has no end of its own, add one: "budget: { trials: 200 }"`);
  }
  if (kind.answers === true) checkAnswers(problem, complaints);
  checkTeachers(problem, complaints);
  if (!problem.isSpace) return;
  const refusal = kind.refuses?.(
    {
      ...{ space, experts, objectives: objectives.length, rungs: examplesAtRungs(kind.rungs === true, tasks) },
      objectiveTasks: objectives.map(({ objective: { of } }) => (typeof of === "string" ? undefined : of.task)),
    },
    options,
  );
  if (refusal !== undefined) complaints.add(at, `Cannot search by ${quote(kind.name)}: ${refusal}`);
}

/** What a search can do otherwise than its author may expect. */
export function searchWarnings(
  { kind, at }: SweepSpec["search"],
  constraints: SweepSpec["constraints"],
  file: string,
): readonly string[] {
  if (kind.answers !== true || constraints.length === 0) return [];
  const what = `Search ${quote(kind.name)} follows its loss alone: constraints count only where the best merge is chosen`;
  return [`${file}:${at.line}:${at.column}  ${what}`];
}

/** A search that learns from answers follows the gradient of one loss. */
function checkAnswers({ search, objectives, goals }: Problem, complaints: Complaints): void {
  const name = quote(search.kind.name);
  const losses = new Set<string>();
  for (const { objective, at } of objectives) {
    if (objective.kind === "loss") {
      losses.add(objective.loss);
      if (objective.of === "worst") {
        complaints.add(at, `Search ${name} follows a mean over tasks, not the worst of them: write "of: mean"`);
      }
    } else {
      const words = quoteAll(goals.losses.map((loss) => loss.name));
      const what = `Search ${name} learns from a loss of models' answers, and ${quote(objective.name)} is a metric`;
      complaints.add(at.line === 0 ? search.at : at, `${what}: give "loss", one of ${words}`);
    }
  }
  if (losses.size < 2) return;
  complaints.add(search.at, `Search ${name} follows one loss, and the objectives have ${quoteList([...losses])}`);
}

/** What is compared with an expert's answers needs one. */
function checkTeachers({ objectives, goals, experts }: Problem, complaints: Complaints): void {
  for (const { objective, at } of objectives) {
    if (objective.kind !== "loss") continue;
    const loss = goals.losses.find(({ name }) => name === objective.loss);
    const without = tasksOf(objective.of, goals).filter(({ name }) => !experts.has(name));
    if (loss?.needsTeacher !== true || without.length === 0) continue;
    const names = quoteList(without.map(({ name }) => name));
    const what = `Loss ${quote(objective.loss)} compares with each task's expert, and there is none of ${names}`;
    complaints.add(at, `${what}: name it in "tasks", as in "experts: { task: model }"`);
  }
}

/** About how many examples there are at each rung: what counts to a search is that there are several. */
function examplesAtRungs(usesRungs: boolean, { rungs, limit = assumedExamples }: Problem["tasks"]): readonly number[] {
  const written = rungs.length === 0 && usesRungs ? defaultRungs : rungs;
  return [...written.map((rung) => (rung < 1 ? Math.max(1, Math.round(rung * limit)) : rung)), limit];
}
