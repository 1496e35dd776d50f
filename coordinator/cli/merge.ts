import { formatBytes } from "../../shared/bytes.js";
import type { AmalgamError } from "../../shared/errors.js";
import { formatCount, quote, quoteList } from "../../shared/quote.js";
import type { Manifest } from "../assemble/manifest.js";
import { type AgentsWanted, isResumable, type JobEvent, type JobResult, type PlanRun, runMerge } from "../job.js";
import { formatQuantity } from "../plan/report.js";
import { securityOf, type TlsOptions } from "./cluster-options.js";
import { failure } from "./failure.js";
import { interruptible } from "./interrupt.js";
import { defaultSlots } from "./plan.js";
import type { Terminal } from "./terminal.js";
import { createView } from "./view.js";

/** Options of every command that makes a checkpoint. */
export interface RunOptions extends TlsOptions {
  readonly agents: number;
  readonly agentProcesses: boolean;
  readonly agent?: readonly string[] | undefined;
  readonly slots?: number | undefined;
  readonly memory: number;
  readonly assembly: "direct" | "stream";
  readonly unitSize?: number | undefined;
  readonly shardSize: number;
  readonly overwrite: boolean;
  readonly json: boolean;
}

/** `amalgam merge`. */
export function merge(recipeFile: string, output: string, options: RunOptions, terminal: Terminal): Promise<number> {
  const { shardSize: shardBytes } = options;
  return carryOut(output, options, terminal, (run) => runMerge({ ...run, recipeFile, shardBytes }));
}

/**
 * Runs a job and says how it went. The first Ctrl-C stops in good order, the second at once; either way the work is kept.
 */
export async function carryOut(
  output: string,
  options: RunOptions,
  { stdout, stderr, agentEntry }: Terminal,
  job: (run: PlanRun) => Promise<JobResult>,
): Promise<number> {
  const view = createView({ json: options.json, stdout, stderr });
  let hasWork = false;
  try {
    const result = await interruptible((signal) =>
      job({
        output,
        agents: agentsOf(options, agentEntry),
        security: options.agent === undefined ? undefined : securityOf(options),
        assembly: options.assembly,
        unitBytes: options.unitSize,
        overwrite: options.overwrite,
        signal,
        onEvent: (event) => {
          hasWork ||= isWork(event);
          view.observe(event);
        },
      }),
    );
    view.close();
    stdout.write(options.json ? `${JSON.stringify(summarize(result))}\n` : `${describe(result, output)}\n`);
    return 0;
  } catch (reason) {
    view.close();
    const isKept = (error: AmalgamError): boolean => hasWork && isResumable(error);
    throw failure(reason, stdout, { json: options.json, isKept, kept: "The work done so far is" });
  }
}

function agentsOf(options: RunOptions, entry: URL): AgentsWanted {
  const { agent: addresses, agents: count, agentProcesses, memory: memoryBytesEach } = options;
  if (addresses !== undefined) return { kind: "running", addresses };
  const slotsEach = options.slots ?? defaultSlots(count);
  return { kind: "local", count, mode: agentProcesses ? "process" : "thread", entry, slotsEach, memoryBytesEach };
}

/** Whether something was done by now that another run need not do again. */
function isWork(event: JobEvent): boolean {
  return event.type === "resumed" || (event.type === "dispatch" && event.event.type === "finished");
}

/**
 * The share of the time that went into moving bytes: what the same reads and writes alone would have taken on as many
 * threads, which no merge can go below, over what it took. Undefined where nobody measured it.
 */
export function efficiencyOf({ ioSeconds, slots, seconds }: JobResult): number | undefined {
  return slots === 0 || seconds === 0 || ioSeconds === 0 ? undefined : Math.min(1, ioSeconds / slots / seconds);
}

function summarize(result: JobResult): Record<string, unknown> {
  const { plan, committed, seconds, bytesRead, bytesWritten, retries } = result;
  return {
    event: "done",
    digest: plan.digest,
    alreadyComplete: committed === undefined,
    seconds,
    bytesRead,
    bytesWritten,
    retries,
    efficiency: efficiencyOf(result),
    ...(committed === undefined ? {} : { files: committed.manifest.weights }),
  };
}

function describe(result: JobResult, output: string): string {
  const { plan, committed, seconds, bytesRead, bytesWritten, retries } = result;
  if (committed === undefined) return `${output} holds this merge already, complete`;
  const bytes = plan.files.reduce((total, file) => total + file.bytes, 0);
  const rate = formatBytes((bytesRead + bytesWritten) / seconds);
  const efficiency = efficiencyOf(result);
  const facts = [
    `read ${formatBytes(bytesRead)}, wrote ${formatBytes(bytesWritten)}, ${rate}/s`,
    // A job that is over before threads have started says nothing of efficiency.
    ...(efficiency === undefined || seconds < 2 ? [] : [`efficiency ${(100 * efficiency).toFixed(0)} %`]),
    ...(retries > 0 ? [formatQuantity(retries, "failed attempt")] : []),
  ];
  const files = plan.files.length === 1 ? (plan.files[0]?.name ?? "") : `${formatCount(plan.files.length)} files`;
  return [
    `${output}: ${files}, ${formatBytes(bytes)}, in ${seconds.toFixed(1)} s (${facts.join(", ")})`,
    ...describeNumbers(committed.manifest),
    ...committed.warnings.map((warning) => `note: ${warning}`),
  ].join("\n");
}

/** NaN, infinities and overflows are never silent. */
function describeNumbers({ numbers, models }: Manifest): readonly string[] {
  const sources = models.filter(({ nonFinite }) => nonFinite > 0);
  const counts = [
    ...(numbers.nonFinite > 0 ? [`${formatCount(numbers.nonFinite)} elements are NaN or infinite`] : []),
    ...(numbers.overflowed > 0 ? [`${formatCount(numbers.overflowed)} do not fit the output dtype`] : []),
  ];
  return [
    ...sources.map(
      ({ name, nonFinite }) => `warning: ${quote(name)} has ${formatCount(nonFinite)} NaN or infinite elements`,
    ),
    ...(counts.length > 0 ? [`warning: in the output ${counts.join(" and ")}: ${quoteList(numbers.tensors)}`] : []),
  ];
}
