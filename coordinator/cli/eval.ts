import { existsSync } from "node:fs";
import { basename, join, resolve, sep } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { evaluate } from "../evaluate/evaluation.js";
import { journalName } from "../evaluate/journal.js";
import { summarize } from "../evaluate/results/summary.js";
import { toMarkdown } from "../evaluate/results/table.js";
import { fileNames } from "../evaluate/results/write.js";
import type { SubjectRequest } from "../evaluate/subject.js";
import type { EvaluationResult } from "../evaluate/types.js";
import { securityOf } from "./cluster-access.js";
import { createEvaluationView } from "./eval-view.js";
import {
  agentWordsOf,
  assertForOwnAgents,
  type EvaluationAgentsOptions,
  startsAgents,
  withAgents,
} from "./evaluation-agents.js";
import { failure } from "./failure.js";
import { interruptible } from "./interrupt.js";
import { localModels, tellAgentsElsewhere } from "./local-models.js";
import { toText } from "./results-table.js";
import type { Terminal } from "./terminal.js";

export interface EvalOptions extends EvaluationAgentsOptions {
  readonly base?: string | undefined;
  readonly expert: readonly string[];
  readonly task: readonly string[];
  readonly limit?: number | undefined;
  readonly out?: string | undefined;
  readonly graph?: string | undefined;
  readonly graphBase?: string | undefined;
  readonly threads?: number | undefined;
  readonly markdown: boolean;
}

/** Of agents that only run models. */
const idleWorkers = { slotsEach: 1, memoryBytesEach: 64 * 1024 ** 2 };

/** `amalgam eval`. The last word is the task file, those before it are checkpoints. */
export async function evalCommand(
  words: readonly string[],
  options: EvalOptions,
  { stdout, stderr, agentEntry }: Terminal,
): Promise<number> {
  const taskFile = words.at(-1) ?? "";
  const named = subjectsOf(words.slice(0, -1), options);
  assertForOwnAgents(options);
  if (options.graphBase !== undefined && options.graph === undefined) {
    throw new AmalgamError(
      "usage",
      'Cannot use "--graph-base" without "--graph": name the export that was made from it',
    );
  }
  const view = createEvaluationView({ json: options.json, stdout, stderr });
  try {
    const result = await interruptible(async (signal) => {
      const names = named.map(({ path }) => path);
      const copies = await localModels(names, { json: options.json, signal }, { stdout, stderr });
      const models = named.map((model, i) => ({ ...model, path: copies[i]?.path ?? model.path }));
      const downloaded = copies.map(({ path, url }) => (url === undefined ? undefined : path));
      if (!startsAgents(options)) tellAgentsElsewhere(downloaded, stderr);
      return await withAgents(options, { entry: agentEntry, command: "eval", ...idleWorkers }, (agents) =>
        evaluate({
          ...{ taskFile, models, agents, signal },
          ...{
            tasks: options.task.length === 0 ? undefined : options.task,
            limit: options.limit,
            output: options.out,
            provider: options.provider,
            threads: options.threads,
          },
          graph: options.graph === undefined ? undefined : { file: options.graph, base: options.graphBase },
          agentWords: agentWordsOf(options),
          security: startsAgents(options) ? undefined : securityOf(options),
          onEvent: (event) => view.observe(event),
        }),
      );
    });
    view.close();
    stdout.write(show(result, options, stdout));
    return 0;
  } catch (reason) {
    view.close();
    const isKept = ({ retryable, code }: AmalgamError): boolean => {
      const hasAnswers = options.out !== undefined && existsSync(join(options.out, journalName));
      return hasAnswers && (retryable || code === "canceled");
    };
    throw failure(reason, stdout, { json: options.json, isKept, kept: "The answers so far are" });
  }
}

function show(result: EvaluationResult, { json, markdown, out }: EvalOptions, stdout: NodeJS.WriteStream): string {
  if (json) return `${JSON.stringify({ event: "done", ...(out === undefined ? {} : { output: resolve(out) }) })}\n`;
  const summary = summarize(result);
  if (markdown) return toMarkdown(summary);
  const colors = stdout.isTTY && stdout.hasColors();
  // In a pipe there is no edge to keep within.
  const width = stdout.isTTY ? stdout.columns : Number.POSITIVE_INFINITY;
  const table = toText(summary, { colors, width });
  return `${table}${out === undefined ? "" : `\nAll of it, example by example: ${resolve(out, fileNames.report)}\n`}`;
}

/** Checkpoints with names that differ, in the order base, experts, models. */
function subjectsOf(words: readonly string[], { base, expert }: EvalOptions): readonly SubjectRequest[] {
  const named = [
    ...(base === undefined ? [] : [{ ...nameAndPath(base), role: "base" as const }]),
    ...expert.map((word) => ({ ...nameAndPath(word), role: "expert" as const })),
    ...words.map((word) => ({ ...nameAndPath(word), role: "model" as const })),
  ];
  if (named.length === 0) {
    throw new AmalgamError("usage", 'Nothing to evaluate: name checkpoints before the task file, or with "--base"');
  }
  const twice = named.find(({ name }, i) => named.findIndex((other) => other.name === name) < i);
  if (twice === undefined) return named;
  const remedy = `name one of them, as in "better=${twice.path}"`;
  throw new AmalgamError("usage", `Two checkpoints would be called ${quote(twice.name)}: ${remedy}`);
}

/** `NAME=PATH`, or a path, whose last part is the name; in the Hub's cache that is a commit, and the model's name counts. */
function nameAndPath(word: string): { readonly name: string; readonly path: string } {
  const match = /^([^=/\\]+)=(.+)$/.exec(word);
  const [, name, path = word] = match ?? [];
  if (name !== undefined) return { name, path };
  const whole = resolve(path);
  const cached = /[/\\]models--(?:[^/\\]+--)?([^/\\]+)[/\\]snapshots[/\\][^/\\]+$/.exec(whole)?.[1];
  return { path, name: cached ?? (basename(whole) || whole.split(sep).join("/")) };
}
