import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { readResults } from "../../coordinator/evaluate/results/read.js";
import { summarize } from "../../coordinator/evaluate/results/summary.js";
import { AmalgamError } from "../../shared/errors.js";
import { amalgam, type Command, formatCommand, runCommand } from "./command.js";
import { type MergeCommand, mergeCommand, mergeQuietly, mergeShowing } from "./merge.js";

// What `npm start` shows: it merges by every recipe of this example, scores base, experts and merges with the weights that
// are on disk, then searches for the weights of a merge, each with the command line that anyone would use.
//   --markdown         prints nothing but the table, as Markdown
//   --output <folder>  where the merges and the scores go, examples/digits/merged if not said

/** Compiled, this file is dist/examples/digits/demo.js. */
const root = fileURLToPath(new URL("../../..", import.meta.url));
const example = join(root, "examples", "digits");
const recipes = join(example, "recipes");

/** The ways of seeing a digit; each has an expert, and a task in tasks.yaml. */
const tasks = ["rotated", "inverted", "mirrored", "sheared", "noisy"];

/** The merge that is shown as it runs, with two agents and units so small that both get some. */
const shown = "task-arithmetic";
const shownOptions = ["--agents", "2", "--unit-size", "64KB"];

/** The sweep that is shown: it is over in seconds, and needs no labels. */
const shownSweep = "adamerging-by-task";

async function main(options: { readonly markdown: boolean; readonly output: string }): Promise<void> {
  const say = options.markdown ? () => undefined : console.log;
  const started = performance.now();
  const merges = readdirSync(recipes)
    .filter((file) => file.endsWith(".yaml"))
    .map((file) => file.slice(0, -".yaml".length))
    .toSorted()
    .map((name) => mergeCommand(name, { root, recipes, output: options.output }, name === shown ? shownOptions : []));
  say(
    `Amalgam merges ${tasks.length} small vision transformers, each good at reading digits in one way, into single ` +
      `models that read them in all ways: ${merges.length} recipes, scored with ONNX Runtime on every task.\n`,
  );
  await mergeAll(merges, say, options.markdown);

  const scores = join(options.output, "scores");
  const words = evaluation(merges, relative(root, scores));
  if (options.markdown) return console.log((await runCommand([...words, "--markdown"], root, "pipe")).trimEnd());
  say(`\n$ ${formatCommand(words)}`);
  await runCommand(words, root, "inherit");
  const { bestMerge } = summarize(await readResults(scores));
  const best = merges.find(({ name }) => name === bestMerge);
  say(
    "\nThose weights were chosen by hand. A search finds them by itself, here for two experts, without a single label:",
  );
  const sweep = sweepCommand(relative(root, join(options.output, "sweep")));
  say(`\n$ ${formatCommand(sweep)}`);
  await runCommand(sweep, root, "inherit");
  say(`\nAll this took ${((performance.now() - started) / 1000).toFixed(1)} s.`);
  if (best === undefined) return;
  say(
    `The best merge for all five tasks is ${best.output}, a checkpoint that loads wherever its experts do. It was made by`,
  );
  say(`  ${formatCommand(best.words)}`);
}

/** One merge after the other, so that what is printed makes sense. */
async function mergeAll(merges: readonly MergeCommand[], say: (line: string) => void, isQuiet: boolean): Promise<void> {
  for (const merge of merges.toSorted((a, b) => Number(b.name === shown) - Number(a.name === shown))) {
    if (merge.name === shown && !isQuiet) {
      say(`$ ${formatCommand(merge.words)}`);
      await mergeShowing(merge, root);
      say("");
    } else {
      say(`${merge.name.padEnd(shown.length)}  ${await mergeQuietly(merge, root)}`);
    }
  }
}

/** The command that scores everything. */
function evaluation(merges: readonly MergeCommand[], output: string): Command {
  const at = (...parts: readonly string[]): string => relative(root, join(example, ...parts));
  return [
    ...[amalgam, "eval", "--base", at("base")],
    ...tasks.flatMap((task) => ["--expert", at("experts", task)]),
    ...merges.map((merge) => merge.output),
    ...[at("tasks.yaml"), "--out", output],
  ];
}

/** The command that searches. */
function sweepCommand(output: string): Command {
  const file = relative(root, join(example, "sweeps", `${shownSweep}.yaml`));
  return [amalgam, "sweep", file, "--out", output, "--overwrite"];
}

try {
  const { values } = parseArgs({
    options: {
      markdown: { type: "boolean", default: false },
      output: { type: "string", default: join(example, "merged") },
    },
  });
  await main({ markdown: values.markdown, output: values.output });
} catch (reason) {
  console.error(AmalgamError.from(reason).message);
  process.exitCode = 1;
}
