import { existsSync } from "node:fs";
import { basename, join, resolve, sep } from "node:path";
import { systemClock } from "../../shared/clock.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { Registry } from "../cluster/registry.js";
import { evaluate } from "../evaluate/evaluation.js";
import { journalName } from "../evaluate/journal.js";
import { summarize } from "../evaluate/results/summary.js";
import { toMarkdown } from "../evaluate/results/table.js";
import { fileNames } from "../evaluate/results/write.js";
import type { SubjectRequest } from "../evaluate/subject.js";
import type { EvaluationResult } from "../evaluate/types.js";
import type { AgentsWanted } from "../job.js";
import { onCluster, securityOf, type TlsOptions } from "./cluster-options.js";
import { createEvaluationView } from "./eval-view.js";
import { failure } from "./failure.js";
import { interruptible } from "./interrupt.js";
import { toText } from "./results-table.js";
import type { Terminal } from "./terminal.js";

export interface EvalOptions extends TlsOptions {
  readonly base?: string | undefined;
  readonly expert: readonly string[];
  readonly task: readonly string[];
  readonly limit?: number | undefined;
  readonly out?: string | undefined;
  readonly graph?: string | undefined;
  readonly graphBase?: string | undefined;
  readonly agents: number;
  readonly agent: readonly string[];
  readonly nats?: string | undefined;
  readonly provider?: string | undefined;
  readonly threads?: number | undefined;
  readonly memory?: number | undefined;
  readonly markdown: boolean;
  readonly json: boolean;
}

/** `amalgam eval`. The last word is the task file, those before it are checkpoints. */
export async function evalCommand(
  words: readonly string[],
  options: EvalOptions,
  { stdout, stderr, agentEntry }: Terminal,
): Promise<number> {
  const taskFile = words.at(-1) ?? "";
  const models = subjectsOf(words.slice(0, -1), options);
  assertForOwnAgents(options);
  const view = createEvaluationView({ json: options.json, stdout, stderr });
  try {
    const result = await interruptible((signal) =>
      withAgents(options, agentEntry, (agents) =>
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
          agentWords: wordsOf(options),
          security: startsAgents(options) ? undefined : securityOf(options),
          onEvent: (event) => view.observe(event),
        }),
      ),
    );
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

/** `NAME=PATH`, or a path, whose last part is the name. */
function nameAndPath(word: string): { readonly name: string; readonly path: string } {
  const match = /^([^=/\\]+)=(.+)$/.exec(word);
  const [, name, path = word] = match ?? [];
  if (name !== undefined) return { name, path };
  const whole = resolve(path);
  return { path, name: basename(whole) || whole.split(sep).join("/") };
}

function startsAgents({ agent, nats }: EvalOptions): boolean {
  return agent.length === 0 && nats === undefined;
}

/** How an agent runs models is said when it is started. */
function assertForOwnAgents(options: EvalOptions): void {
  if (startsAgents(options)) return;
  const given = (["provider", "memory"] as const).find((name) => options[name] !== undefined);
  if (given === undefined) return;
  const own = given === "provider" ? "--provider" : `--eval-${given}`;
  const problem = `it is for agents that are started here; start those that run elsewhere with "${own}"`;
  throw new AmalgamError("usage", `Cannot use "--${given}" with "--agent" or "--nats": ${problem}`);
}

/** How long an evaluation waits while the cluster has no agent for it. */
const maxWaitMs = 600_000;

async function withAgents<Result>(
  options: EvalOptions,
  entry: URL,
  act: (agents: AgentsWanted) => Promise<Result>,
): Promise<Result> {
  const { agent: addresses, agents: count, nats } = options;
  if (addresses.length > 0) return await act({ kind: "running", addresses });
  // Their workers for merges stay idle.
  if (nats === undefined) {
    return await act({ kind: "local", count, mode: "thread", entry, slotsEach: 1, memoryBytesEach: 64 * 1024 ** 2 });
  }
  return await onCluster({ ...options, nats }, "eval", async (bus) => {
    await using registry = await Registry.watch(bus, systemClock);
    return await act({ kind: "cluster", registry, maxWaitMs });
  });
}

function wordsOf({ memory }: EvalOptions): readonly string[] {
  return memory === undefined ? [] : ["--eval-memory", String(memory)];
}
