import { resolve } from "node:path";
import { formatBytes } from "../../shared/bytes.js";
import type { AmalgamError } from "../../shared/errors.js";
import { formatCount, quote, quoteList } from "../../shared/quote.js";
import type { Manifest } from "../assemble/manifest.js";
import { stagingRoot } from "../assemble/staging-paths.js";
import type { EarlyAgents } from "../dispatch/embedded-agents.js";
import { efficiencyOf } from "../job/efficiency.js";
import { type AgentsWanted, isResumable, type JobEvent, type JobResult, type PlanRun, runMerge } from "../job.js";
import type { MergePage } from "../page/open-merge-page.js";
import { formatQuantity } from "../plan/report.js";
import { openDestination } from "../sinks/destination.js";
import { securityOf } from "./cluster-access.js";
import type { TlsOptions } from "./cluster-options.js";
import { failure } from "./failure.js";
import { interruptible } from "./interrupt.js";
import { defaultSlots } from "./plan.js";
import type { Terminal } from "./terminal.js";
import { createView } from "./view.js";
import { whoAmI } from "./who.js";

/** Options of every command that makes a checkpoint. */
export interface RunOptions extends TlsOptions {
  readonly agents: number;
  readonly agentProcesses: boolean;
  /** As many of the agents as were started by now. */
  readonly early?: EarlyAgents | undefined;
  readonly agent?: readonly string[] | undefined;
  readonly slots?: number | undefined;
  readonly memory: number;
  readonly assembly: "direct" | "stream";
  readonly unitSize?: number | undefined;
  readonly shardSize: number;
  readonly overwrite: boolean;
  /** Where an output on S3 is staged. */
  readonly staging?: string | undefined;
  /** The file of a private key. */
  readonly sign?: string | undefined;
  readonly json: boolean;
  /** Where the status page is served while it runs. */
  readonly http?: string | undefined;
}

/** `amalgam merge`. */
export function merge(recipeFile: string, output: string, options: RunOptions, terminal: Terminal): Promise<number> {
  const { shardSize: shardBytes } = options;
  return carryOut(output, options, terminal, async (run) => {
    const page = await pageOf(recipeFile, output, options, terminal);
    if (page === undefined) return await runMerge({ ...run, recipeFile, shardBytes });
    const onEvent = (event: JobEvent): void => {
      run.onEvent?.(event);
      page.observe(event);
    };
    try {
      const result = await runMerge({ ...run, onEvent, recipeFile, shardBytes });
      await page.end();
      return result;
    } catch (reason) {
      await page.end(reason);
      throw reason;
    }
  });
}

async function pageOf(
  recipeFile: string,
  output: string,
  options: RunOptions,
  { stdout, stderr }: Terminal,
): Promise<MergePage | undefined> {
  if (options.http === undefined) return undefined;
  const { readHttpWords } = await import("../../shared/http/listen.js");
  const settings = readHttpWords({ http: options.http }, securityOf(options));
  if (settings === undefined) return undefined;
  const { openMergePage } = await import("../page/open-merge-page.js");
  const page = await openMergePage({ recipeFile, output: resolve(output), by: whoAmI() }, settings);
  if (options.json) stdout.write(`${JSON.stringify({ event: "http", url: page.url })}\n`);
  else stderr.write(`Shown at ${page.url}\n`);
  return page;
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
  // A key that cannot be used is known before hours of work.
  const sign =
    options.sign === undefined ? undefined : await (await import("./sign.js")).signerFrom(options.sign, { stderr });
  const destination = await openDestination(output, options.staging);
  const view = createView({ json: options.json, stdout, stderr });
  let hasWork = false;
  try {
    const result = await interruptible((signal) =>
      job({
        ...destination,
        agents: agentsOf(options, agentEntry),
        security: options.agent === undefined ? undefined : securityOf(options),
        assembly: options.assembly,
        unitBytes: options.unitSize,
        overwrite: options.overwrite,
        sign,
        signal,
        onEvent: (event) => {
          hasWork ||= isWork(event);
          view.observe(event);
        },
      }),
    );
    view.close();
    if (sign !== undefined && result.committed === undefined) {
      if (destination.sink === undefined) {
        const { signOutput } = await import("../provenance/signing/sign-output.js");
        await signOutput(output, sign);
      } else
        stderr.write(`warning: ${output} was complete before, and is not signed: sign a copy with "amalgam sign"\n`);
    }
    stdout.write(options.json ? `${JSON.stringify(summarize(result))}\n` : `${describe(result, output)}\n`);
    return 0;
  } catch (reason) {
    view.close();
    const isKept = (error: AmalgamError): boolean => hasWork && isResumable(error);
    const where = destination.sink === undefined ? "" : ` in ${quote(stagingRoot(destination.output))}`;
    throw failure(reason, stdout, { json: options.json, isKept, kept: `The work done so far${where} is` });
  }
}

function agentsOf(options: RunOptions, entry: URL): AgentsWanted {
  const { agent: addresses, agents: count, agentProcesses, memory: memoryBytesEach, early } = options;
  if (addresses !== undefined) return { kind: "running", addresses };
  const slotsEach = options.slots ?? defaultSlots(count);
  return {
    kind: "local",
    count,
    mode: agentProcesses ? "process" : "thread",
    entry,
    slotsEach,
    memoryBytesEach,
    early,
  };
}

/** Whether something was done by now that another run need not do again. */
function isWork(event: JobEvent): boolean {
  if (event.type === "prompts") return event.done > 0;
  return event.type === "resumed" || (event.type === "dispatch" && event.event.type === "finished");
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
    ...(efficiency === undefined || seconds < 2
      ? []
      : [`${(100 * efficiency).toFixed(0)} % of the time in reads and writes`]),
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
