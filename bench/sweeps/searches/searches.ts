import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { turnedAxes, zdt } from "../../../test/support/search-functions.js";
import { type Benchmark, median } from "../../harness.js";
import { canImport } from "../../python.js";
import { frontGoal, goals } from "./functions.js";
import { ourEvaluations, ourFrontEvaluations } from "./ours.js";

const seeds = 11;

const libraries = ["scipy", "cma", "optuna", "pymoo"];

/** By function and search: evaluations by seed, null where the target was not reached. */
type Theirs = Readonly<Record<string, Readonly<Record<string, readonly (number | null)[]>>>>;

/** How many evaluations each search needs to bring a function to a target, here and in the libraries of the field. */
export const sweepSearches: Benchmark = {
  name: "searches",
  async run({ python, say }) {
    const missing = (await Promise.all(libraries.map((module) => canImport(python, module)))).find(Boolean);
    if (missing !== undefined) say(`Compared with nothing: ${missing}`);
    const theirs = missing === undefined ? await theirEvaluations(python) : {};
    const all = Array.from({ length: seeds }, (_, seed) => seed);
    const rows = goals.flatMap((goal) =>
      Object.keys(goal.searches).map((search) => {
        const ours = all.map((seed) => ourEvaluations(goal, search, seed));
        return [`${goal.label} to ${goal.target}`, search, shown(ours), shown(theirs[goal.name]?.[search] ?? [])];
      }),
    );
    const label = `ZDT1, ${frontGoal.dimensions}-D, to ${frontGoal.target * 100} % of the hypervolume`;
    rows.push([label, "nsga-ii", shown(all.map(ourFrontEvaluations)), shown(theirs["zdt1"]?.["nsga-ii"] ?? [])]);
    return [
      {
        title: "Evaluations to a target",
        note: `Medians of ${seeds} seeds. Theirs: NumPy, SciPy's qmc.Sobol and differential_evolution, pycma, Optuna's TPESampler, pymoo's NSGA2. –: more than were allowed, or no such search.`,
        columns: ["function", "search", "ours", "theirs"],
        rows,
      },
    ];
  },
};

function shown(evaluations: readonly (number | null | undefined)[]): string {
  const counts = evaluations.flatMap((count) => (count === undefined ? [] : [count ?? Number.POSITIVE_INFINITY]));
  const middle = median(counts);
  return Number.isFinite(middle) ? middle.toFixed(0) : "–";
}

// Python sources are not compiled, so they stay where they are.
const script = fileURLToPath(new URL("../../../../bench/sweeps/searches/theirs.py", import.meta.url));

function theirEvaluations(python: string): Promise<Theirs> {
  const [[, , whole]] = zdt;
  const job = { seeds, goals, axes: turnedAxes(8), front: { ...frontGoal, whole } };
  return new Promise((resolve, reject) => {
    const child = execFile(python, [script], { maxBuffer: 1 << 20 }, (error, stdout) => {
      if (error === null) resolve(JSON.parse(stdout) as Theirs);
      else reject(error);
    });
    child.stdin?.end(JSON.stringify(job));
  });
}
