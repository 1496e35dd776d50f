import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startEvaluator } from "../../node-agent/evaluate/evaluator.js";
import { AmalgamError } from "../../shared/errors.js";
import { formatCommand, type MergeCommand, mergeCommand, mergeQuietly, mergeShowing } from "./merge.js";
import { ResultTable, type Row } from "./table.js";

// What `npm start` shows: it merges by every recipe of this example, with the command line that anyone would use, then
// scores base, experts and merges with the weights that are on disk.
//   --markdown         prints nothing but the table, as Markdown
//   --output <folder>  where the merges go, examples/digits/merged if not said

/** Compiled, this file is dist/examples/digits/demo.js. */
const root = fileURLToPath(new URL("../../..", import.meta.url));
const example = join(root, "examples", "digits");
const recipes = join(example, "recipes");

/** The ways of seeing a digit; each has an expert and a set of held-out images. */
const tasks = ["rotated", "inverted", "mirrored", "sheared", "noisy"];

/** The merge that is shown as it runs, with two agents and units so small that both get some. */
const shown = "task-arithmetic";
const shownOptions = ["--agents", "2", "--unit-size", "64KB"];

async function main(options: { readonly markdown: boolean; readonly output: string }): Promise<void> {
  const say = options.markdown ? () => undefined : console.log;
  const started = performance.now();
  const commands = readdirSync(recipes)
    .filter((file) => file.endsWith(".yaml"))
    .map((file) => file.slice(0, -".yaml".length))
    .toSorted()
    .map((name) => mergeCommand(name, { root, recipes, output: options.output }, name === shown ? shownOptions : []));

  say(
    `Amalgam merges ${tasks.length} small vision transformers, each good at reading digits in one way, into single ` +
      `models that read them in all ways: ${commands.length} recipes, scored with ONNX Runtime on every task.\n`,
  );
  await mergeAll(commands, say, options.markdown);

  const table = new ResultTable(tasks, await scoreAll(commands));
  if (options.markdown) return console.log(table.toMarkdown());
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  say(`\nRight answers on the held-out images of each task, in percent (all this took ${seconds} s):\n`);
  say(`${table.toText({ colors: process.stdout.isTTY && process.stdout.hasColors() })}\n`);
  const best = commands.find(({ name }) => name === table.best?.name);
  if (best === undefined) return;
  say(`The best merge is ${best.output}, a checkpoint that loads wherever its experts do. It was made by`);
  say(`  ${formatCommand(best)}`);
}

/** One merge after the other, so that what is printed makes sense. */
async function mergeAll(
  commands: readonly MergeCommand[],
  say: (line: string) => void,
  isQuiet: boolean,
): Promise<void> {
  for (const command of commands.toSorted((a, b) => Number(b.name === shown) - Number(a.name === shown))) {
    if (command.name === shown && !isQuiet) {
      say(`$ ${formatCommand(command)}`);
      await mergeShowing(command, root);
      say("");
    } else {
      say(`${command.name.padEnd(shown.length)}  ${await mergeQuietly(command, root)}`);
    }
  }
}

async function scoreAll(commands: readonly MergeCommand[]): Promise<readonly Row[]> {
  const models = [
    { kind: "base", name: "base", checkpoint: join(example, "base") },
    ...tasks.map((name) => ({ kind: "expert", name, checkpoint: join(example, "experts", name) }) as const),
    ...commands.map(({ name, output }) => ({ kind: "merge", name, checkpoint: join(root, output) }) as const),
  ] as const;
  const graph = join(example, "model.onnx");
  const evalSets = tasks.map((task) => join(example, "eval", `${task}.safetensors`));
  await using evaluator = startEvaluator();
  const rows: Row[] = [];
  for (const { kind, name, checkpoint } of models) {
    const scores = await evaluator.score({ graph, checkpoint, evalSets });
    rows.push({ kind, name, accuracies: scores.map(({ accuracy }) => accuracy) });
  }
  return rows;
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
