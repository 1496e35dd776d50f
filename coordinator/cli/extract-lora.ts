import { dtypeFromRecipe } from "../../shared/checkpoint/dtypes.js";
import { type ExtractEvent, type Extracted, type ExtractJob, extractLora } from "../lora/extract.js";
import { readExpression } from "../lora/module-filter.js";
import { formatQuantity } from "../plan/report.js";
import type { LocalCopy } from "../sources/local-copies.js";
import { interruptible } from "./interrupt.js";
import { localModels } from "./local-models.js";
import { defaultSlots } from "./plan.js";
import type { Terminal } from "./terminal.js";

export interface ExtractLoraOptions {
  readonly model: string;
  readonly base: string;
  readonly maxRank: number;
  readonly svEpsilon: number;
  readonly distributeScale: boolean;
  readonly embedLora: boolean;
  readonly saveModule: readonly string[];
  readonly includeRegex: readonly string[];
  readonly excludeRegex: readonly string[];
  readonly skipUndecomposable: boolean;
  readonly dtype?: string | undefined;
  readonly agents: number;
  readonly slots?: number | undefined;
  readonly memory: number;
  readonly json: boolean;
}

/** `amalgam extract-lora`. An interrupt leaves nothing behind. */
export async function extractLoraCommand(
  output: string,
  options: ExtractLoraOptions,
  { stdout, stderr, agentEntry }: Terminal,
): Promise<number> {
  const started = performance.now();
  const show = options.json ? jsonLines(stdout) : progressLines(stderr);
  const extracted = await interruptible(async (signal) => {
    const { json } = options;
    const copies = await localModels([options.model, options.base], { json, signal }, { stdout, stderr });
    return await extractLora({
      ...jobOf(output, options),
      ...inPlace(options, copies),
      agents: {
        kind: "local",
        count: options.agents,
        mode: "thread",
        entry: agentEntry,
        slotsEach: options.slots ?? defaultSlots(options.agents),
        memoryBytesEach: options.memory,
      },
      signal,
      onEvent: show,
    });
  });
  const seconds = (performance.now() - started) / 1000;
  stdout.write(
    options.json ? `${JSON.stringify(summarize(extracted, seconds))}\n` : describe(output, extracted, seconds),
  );
  return 0;
}

/** Models on servers are read from their copies here, and called what they are called there. */
function inPlace(
  { model, base }: ExtractLoraOptions,
  [modelCopy, baseCopy]: readonly LocalCopy[],
): Pick<ExtractJob, "model" | "base" | "names"> {
  return {
    model: modelCopy?.path ?? model,
    base: baseCopy?.path ?? base,
    names: { model: modelCopy?.url ?? model, base: baseCopy?.url ?? base },
  };
}

function jobOf(output: string, options: ExtractLoraOptions): Omit<ExtractJob, "agents" | "signal" | "onEvent"> {
  const dtype = options.dtype === undefined ? undefined : dtypeFromRecipe(options.dtype);
  return {
    ...{ model: options.model, base: options.base, output, maxRank: options.maxRank, epsilon: options.svEpsilon },
    ...{ distributeScale: options.distributeScale, dtype },
    options: {
      embedLora: options.embedLora,
      saveModules: options.saveModule,
      include: options.includeRegex.map(readExpression),
      exclude: options.excludeRegex.map(readExpression),
      skipUndecomposable: options.skipUndecomposable,
    },
  };
}

function jsonLines(stdout: NodeJS.WriteStream): (event: ExtractEvent) => void {
  return ({ type, ...facts }) => stdout.write(`${JSON.stringify({ event: type, ...facts })}\n`);
}

/** A line that is written over on a terminal; in a pipe, only what matters. */
function progressLines(stderr: NodeJS.WriteStream): (event: ExtractEvent) => void {
  let [done, matrices] = [0, 0];
  return (event) => {
    if (event.type === "planned") {
      matrices = event.matrices;
      for (const warning of event.warnings) stderr.write(`warning: ${warning}\n`);
    } else {
      done += 1;
      if (stderr.isTTY) stderr.write(`\rfactorized ${done} of ${matrices}${done === matrices ? "\n" : ""}`);
    }
  };
}

function summarize({ ranks, saved, warnings }: Extracted, seconds: number): Record<string, unknown> {
  return { event: "done", modules: ranks.size, largestRank: Math.max(0, ...ranks.values()), saved, warnings, seconds };
}

function describe(output: string, { ranks, saved }: Extracted, seconds: number): string {
  const rank = Math.max(0, ...ranks.values());
  const facts = `rank up to ${rank}, ${formatQuantity(saved, "tensor")} saved whole, in ${seconds.toFixed(1)} s`;
  return `${output}: ${formatQuantity(ranks.size, "module")}, ${facts}\n`;
}
