import { existsSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { type AgentsWanted, runMerge } from "../job.js";
import type { SweepJob } from "../sweep/job.js";
import type { SweepResult } from "../sweep/result.js";
import { readSweep } from "../sweep/spec/read.js";
import { readState } from "../sweep/store/state.js";
import { readTrials, sweepFiles } from "../sweep/store/store.js";
import { runSweep } from "../sweep/sweep.js";
import type { Budget } from "../sweep/types.js";
import { securityOf } from "./cluster-access.js";
import {
  agentWordsOf,
  assertForOwnAgents,
  type EvaluationAgentsOptions,
  startsAgents,
  withAgents,
} from "./evaluation-agents.js";
import { failure } from "./failure.js";
import { interruptible } from "./interrupt.js";
import { showingDownloads, tellAgentsElsewhere } from "./local-models.js";
import { defaultSlots } from "./plan.js";
import { formatResult } from "./sweep-result.js";
import { createSweepView } from "./sweep-view.js";
import type { Terminal } from "./terminal.js";
import { createView } from "./view.js";

/** How a sweep is run, whether it begins or goes on. */
export interface SweepRunOptions extends EvaluationAgentsOptions {
  readonly threads?: number | undefined;
  readonly mergeBest?: string | undefined;
}

/** What one run of a sweep is asked for. */
type Asked = Pick<SweepJob, "folder" | "overwrite" | "extend" | "retryFailed" | "onlyUnfinished"> & {
  readonly file: string;
};

/** `amalgam sweep`. */
export function sweep(
  file: string,
  options: SweepRunOptions & { readonly out?: string | undefined; readonly overwrite: boolean },
  terminal: Terminal,
): Promise<number> {
  const beside = join(dirname(file), `${basename(file, extname(file))}.sweep`);
  return carryOutSweep({ file, folder: options.out ?? beside, overwrite: options.overwrite }, options, terminal);
}

/** `amalgam sweep resume`. */
export async function resumeSweep(folder: string, options: SweepRunOptions, terminal: Terminal): Promise<number> {
  return await carryOutSweep({ folder, file: await sweepFileOf(folder), onlyUnfinished: true }, options, terminal);
}

/** `amalgam sweep extend`. */
export async function extendSweep(
  folder: string,
  { trials, examples, minutes, ...options }: SweepRunOptions & { readonly [Unit in keyof Budget]?: number | undefined },
  terminal: Terminal,
): Promise<number> {
  const extend: Budget = {
    ...(trials === undefined ? {} : { trials }),
    ...(examples === undefined ? {} : { examples }),
    ...(minutes === undefined ? {} : { minutes }),
  };
  if (Object.keys(extend).length === 0) {
    throw new AmalgamError("usage", `Cannot extend ${quote(folder)}: say by what, as in "--trials 50"`);
  }
  return await carryOutSweep({ folder, file: await sweepFileOf(folder), extend }, options, terminal);
}

/** `amalgam sweep retry --failed`. */
export async function retrySweep(folder: string, options: SweepRunOptions, terminal: Terminal): Promise<number> {
  return await carryOutSweep({ folder, file: await sweepFileOf(folder), retryFailed: true }, options, terminal);
}

async function sweepFileOf(folder: string): Promise<string> {
  const state = await readState(folder);
  if (state !== undefined) return state.file;
  const remedy = `it has no ${sweepFiles.state}; name a folder that "amalgam sweep" made`;
  throw new AmalgamError("usage", `There is no sweep in ${quote(folder)}: ${remedy}`);
}

/** The first Ctrl-C stops in good order, the second at once; either way what is on record is kept. */
async function carryOutSweep(asked: Asked, options: SweepRunOptions, terminal: Terminal): Promise<number> {
  const { stdout, stderr, agentEntry: entry } = terminal;
  assertForOwnAgents(options);
  const { file, ...how } = asked;
  const spec = await interruptible((signal) =>
    showingDownloads(options.json, terminal, (onProgress) => readSweep(file, { onProgress, signal })),
  );
  const copies = spec.template.models.map(({ copy }) => copy);
  if (!startsAgents(options)) tellAgentsElsewhere(copies, stderr);
  const view = createSweepView({ json: options.json, stdout, stderr });
  const workers = { slotsEach: defaultSlots(options.agents), memoryBytesEach: workerMemoryBytes };
  try {
    await interruptible((signal) =>
      withAgents(options, { entry, command: "sweep", ...workers }, async (agents) => {
        const result = await runSweep({
          ...{ spec, ...how, agents, signal, provider: options.provider, threads: options.threads },
          agentWords: agentWordsOf(options),
          security: startsAgents(options) ? undefined : securityOf(options),
          onEvent: (event) => view.observe(event),
        });
        view.close();
        if (!options.json) stdout.write(await shown(result, stdout));
        if (options.mergeBest !== undefined)
          await mergeBest(result, options.mergeBest, { agents, signal, options, terminal });
      }),
    );
    return 0;
  } catch (reason) {
    view.close();
    const isKept = ({ retryable, code }: AmalgamError): boolean => {
      return existsSync(join(how.folder, sweepFiles.trials)) && (retryable || code === "canceled");
    };
    throw failure(reason, stdout, { json: options.json, isKept, kept: "The trials so far are" });
  }
}

/** Tensor data that an agent's workers hold while they merge. */
const workerMemoryBytes = 2 * 1024 ** 3;

/** Largest file of a merged checkpoint, as `amalgam merge` has it. */
const shardBytes = 5e9;

async function shown(result: SweepResult, stdout: NodeJS.WriteStream): Promise<string> {
  return formatResult(
    result,
    await readTrials(result.folder),
    stdout.isTTY ? stdout.columns : Number.POSITIVE_INFINITY,
  );
}

async function mergeBest(
  { folder }: SweepResult,
  output: string,
  {
    agents,
    signal,
    options,
    terminal: { stdout, stderr },
  }: {
    readonly agents: AgentsWanted;
    readonly signal: AbortSignal;
    readonly options: SweepRunOptions;
    readonly terminal: Terminal;
  },
): Promise<void> {
  const view = createView({ json: options.json, stdout, stderr });
  try {
    await runMerge({
      ...{ recipeFile: join(folder, sweepFiles.best), output, agents, signal, shardBytes, overwrite: false },
      security: startsAgents(options) ? undefined : securityOf(options),
      assembly: "auto",
      onEvent: (event) => view.observe(event),
    });
  } finally {
    view.close();
  }
  const merged = resolve(output);
  stdout.write(
    options.json ? `${JSON.stringify({ event: "merged", output: merged })}\n` : `The best merge: ${merged}\n`,
  );
}
