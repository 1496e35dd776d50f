import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { formatBytes } from "../../shared/bytes.js";
import { openCheckpoint } from "../../shared/checkpoint/open.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote, quoteList } from "../../shared/quote.js";
import { hasErrno } from "../assemble/durable.js";
import { type Manifest, manifestName, readManifest, readManifestFile } from "../assemble/manifest.js";
import { diffCheckpoints } from "../inspect/diff.js";
import type { JobResult } from "../job.js";
import { formatQuantity } from "../plan/report.js";
import { type Made, readMade } from "../provenance/made.js";
import { type Comparison, compareOutputs } from "../provenance/reproduce/compare-outputs.js";
import {
  extractAgain,
  mergeAdaptersAgain,
  mergeAgain,
  moeAgain,
  type Original,
} from "../provenance/reproduce/make-again.js";
import { checkVersions } from "../provenance/reproduce/versions.js";
import { isAddress } from "../sinks/work-place.js";
import { interruptible } from "./interrupt.js";
import { carryOut, type RunOptions } from "./merge.js";
import { defaultSlots } from "./plan.js";
import { formatTable } from "./table.js";
import type { Terminal } from "./terminal.js";

export interface ReproduceOptions extends Pick<RunOptions, "agents" | "slots" | "memory" | "json"> {
  /** `NAME=PATH` words. */
  readonly model: readonly string[];
  /** Hosts of `https://` models that may be asked. */
  readonly allowHost: readonly string[];
  /** What the recipe's paths are relative to. Default: where the manifest lies, then the current folder. */
  readonly recipeFolder?: string | undefined;
  readonly force: boolean;
}

/**
 * `amalgam reproduce`: makes an output again from its manifest and compares SHA-256s. 0 when all are equal, 1 when not.
 * Without an output, what is made is removed.
 */
export async function reproduce(
  path: string,
  output: string | undefined,
  options: ReproduceOptions,
  terminal: Terminal,
): Promise<number> {
  if (output !== undefined) await assertFree(output);
  const { manifest, folder } = await openManifest(path);
  const made = readMade(manifest.made, manifest.method);
  for (const warning of checkVersions(manifest, options)) terminal.stderr.write(`warning: ${warning}\n`);
  const temporary = output === undefined ? await mkdtemp(join(tmpdir(), "amalgam-reproduce-")) : undefined;
  const into = output ?? join(temporary ?? "", "reproduced");
  try {
    const addresses = { allowedHosts: options.allowHost, onAddresses: announce(options, terminal) };
    const home = options.recipeFolder ?? folder;
    const original = { manifest, folder: home, output: folder, places: options.model, addresses };
    await make(original, made, into, options, terminal);
    const comparison = compareOutputs(manifest, await readManifest(into));
    const differing = comparison.isEqual ? [] : await differingTensors(folder, into, manifest);
    show(comparison, differing, { output, folder }, options, terminal);
    return comparison.isEqual ? 0 : 1;
  } finally {
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
  }
}

/** What is there already was not made now, and comparing it would show nothing. */
async function assertFree(output: string): Promise<void> {
  if (isAddress(output)) throw refused(output, "what is made is compared in a folder, name one");
  const entries = await readdir(output).catch((error: unknown) => {
    if (hasErrno(error, "ENOENT")) return [];
    throw refused(output, AmalgamError.from(error).message);
  });
  if (entries.length > 0) throw refused(output, "it is not empty, and is not made again: name another folder");
}

function refused(output: string, problem: string): AmalgamError {
  return new AmalgamError("output_refused", `Cannot reproduce it in ${quote(output)}: ${problem}`);
}

/** Says what is about to be fetched, since a stranger may have chosen it. */
function announce({ json }: ReproduceOptions, { stdout, stderr }: Terminal): (urls: readonly string[]) => void {
  return (urls) => {
    if (json) stdout.write(`${JSON.stringify({ event: "fetching", urls })}\n`);
    else stderr.write(`models come from ${quoteList(urls, 20)}\n`);
  };
}

/** A manifest, or the folder of an output, which has one. */
async function openManifest(path: string): Promise<{ readonly manifest: Manifest; readonly folder: string }> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new AmalgamError("usage", `Cannot find manifest ${quote(path)}`);
  if (found.isDirectory()) return { manifest: await readManifest(path), folder: path };
  return { manifest: await readManifestFile(path), folder: dirname(path) };
}

async function make(
  original: Original,
  made: Made,
  output: string,
  options: ReproduceOptions,
  terminal: Terminal,
): Promise<void> {
  const agents = {
    ...{ kind: "local" as const, count: options.agents, mode: "thread" as const, entry: terminal.agentEntry },
    ...{ slotsEach: options.slots ?? defaultSlots(options.agents), memoryBytesEach: options.memory },
  };
  if (made.kind === "extract-lora") {
    return interruptible((signal) => extractAgain(original, made, { output, agents, signal }));
  }
  if (made.kind === "merge-adapters") {
    return interruptible((signal) => mergeAdaptersAgain(original, made, { output, signal }));
  }
  const settings = { agentProcesses: false, assembly: "direct" as const, overwrite: false };
  const run: RunOptions = { ...options, ...settings, shardSize: made.shardBytes };
  let result: JobResult | undefined;
  await carryOut(output, run, terminal, async (job) => {
    result = made.kind === "moe" ? await moeAgain(original, made, job) : await mergeAgain(original, made, job);
    return result;
  });
  if (result?.committed === undefined) throw refused(output, "somebody else made it meanwhile: name another folder");
}

/** Names of the tensors that differ, if the original's weights lie beside its manifest and can be read. */
async function differingTensors(folder: string, output: string, { weights }: Manifest): Promise<readonly string[]> {
  const adapter = weights.find(({ name }) => name === "adapter_model.safetensors")?.name ?? "";
  try {
    const [before, now] = await Promise.all([folder, output].map((path) => openCheckpoint(join(path, adapter))));
    if (before === undefined || now === undefined) return [];
    const { tensors } = await diffCheckpoints(before, now);
    return tensors.filter(({ kind }) => kind !== "equal").map(({ name }) => name);
  } catch {
    return [];
  }
}

function show(
  { files, isEqual }: Comparison,
  differing: readonly string[],
  { output, folder }: { readonly output: string | undefined; readonly folder: string },
  { json }: ReproduceOptions,
  { stdout }: Terminal,
): void {
  if (json) {
    const compared = files.map(({ name, state, expected, found }) => {
      return { name, state, expected: expected?.sha256, found: found?.sha256 };
    });
    stdout.write(`${JSON.stringify({ event: "reproduced", isEqual, files: compared, differing })}\n`);
    return;
  }
  const rows = files.map(({ name, state, expected, found }) => {
    const bytes = formatBytes((expected ?? found)?.bytes ?? 0);
    return [name, bytes, expected?.sha256.slice(0, 16) ?? "", found?.sha256.slice(0, 16) ?? "", state];
  });
  stdout.write(formatTable(["FILE", "SIZE", "SHA-256", "MADE AGAIN", ""], rows));
  if (isEqual) {
    stdout.write(`reproduced: ${formatQuantity(files.length, "file")}, every byte the same as ${manifestName} says\n`);
    return;
  }
  const wrong = files.filter(({ state }) => state !== "equal").map(({ name }) => name);
  stdout.write(`not reproduced: ${quoteList(wrong)}\n`);
  if (differing.length > 0) stdout.write(`tensors that differ: ${quoteList(differing, 10)}\n`);
  stdout.write(
    output === undefined
      ? "weights behind equal headers may have changed; name an output to keep what was made, and compare it with amalgam diff\n"
      : `by how much: amalgam diff ${folder} ${output}\n`,
  );
}
