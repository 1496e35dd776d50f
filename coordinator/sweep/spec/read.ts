import { Complaints } from "../../recipe/complaints.js";
import { Fields } from "../../recipe/fields.js";
import { readText } from "../../recipe/read.js";
import { describe } from "../../recipe/wording.js";
import { isNull } from "../../recipe/yaml/node.js";
import { readYaml } from "../../recipe/yaml/read.js";
import type { CopyOptions } from "../../sources/local-copies.js";
import { answerLosses } from "../losses/losses.js";
import { searches } from "../search/searches.js";
import type { SweepSpec } from "../types.js";
import { checkSearch, searchWarnings } from "./check-search.js";
import { readConstraints } from "./constraints.js";
import { matchExperts } from "./experts.js";
import { readObjectives } from "./objectives.js";
import { readRecipeSpec } from "./recipe-spec.js";
import { readBudget, readSearch } from "./search.js";
import { readSweepTasks } from "./tasks.js";

const keys = [
  "recipe",
  "set",
  "parameters",
  "tasks",
  "objective",
  "objectives",
  "constraints",
  "budget",
  "search",
  "seed",
  "parallel",
];

/** Trials that a search keeps going at once: more than any cluster has agents. */
const maxParallel = 1_024;

/**
 * Reads a sweep file, its recipe, the headers of its models, which are downloaded if they are on servers, and its task
 * file. Throws one error, `recipe_invalid`, with a
 * line for every complaint and its place: `sweep.yaml:7:14  Unknown key "tasts", did you mean "tasks"?`.
 */
export async function readSweep(file: string, options: CopyOptions = {}): Promise<SweepSpec> {
  return parseSweep(await readText(file, "sweep"), file, options);
}

/** The same for a text that is there. Paths in it start from the folder of `file`. */
export async function parseSweep(text: string, file: string, options: CopyOptions = {}): Promise<SweepSpec> {
  const complaints = new Complaints(file);
  const fields = readRoot(text, complaints);
  fields.checkKeys(keys);
  const recipe = await readRecipeSpec(fields, { file, text }, complaints, options);
  const read = await readSweepTasks(fields, file, complaints);
  const goals = { tasks: read?.tasks ?? [], losses: answerLosses };
  const objectives = readObjectives(fields, goals, complaints);
  const constraints = readConstraints(fields, goals, complaints);
  const budget = readBudget(fields, complaints);
  const search = readSearch(fields, searches, complaints);
  const seed = fields.wholeNumber("seed", 0) ?? 0;
  const parallel = fields.wholeNumber("parallel", 1, maxParallel) ?? 8;
  const experts = read && matchExperts(read, recipe?.recipes ?? [], complaints);
  if (recipe === undefined || read === undefined || experts === undefined || search === undefined) {
    throw complaints.error();
  }
  const { template, space } = recipe;
  const isSpace = !complaints.any;
  const hasBudget = fields.has("budget");
  checkSearch({ search, space, goals, objectives, tasks: read.settings, experts, hasBudget, isSpace }, complaints);
  complaints.throwIfAny();
  const warnings = searchWarnings(search, constraints, file);
  return {
    ...{ file, text, template, space, constraints, budget, search, seed, parallel, warnings },
    tasks: { ...read.settings, experts },
    objectives: objectives.map(({ objective }) => objective),
  };
}

function readRoot(text: string, complaints: Complaints): Fields {
  const [root, second] = readYaml(text, complaints, "sweep").filter((document) => !isNull(document));
  if (root === undefined) return complaints.fail({ line: 1, column: 1 }, "The sweep is empty");
  if (second !== undefined) complaints.add(second.at, "There are several documents in the file, and a sweep is of one");
  if (root.kind !== "mapping") return complaints.fail(root.at, `A sweep must be a mapping, found ${describe(root)}`);
  return new Fields(root, complaints);
}
