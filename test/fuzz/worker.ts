import { parentPort, workerData } from "node:worker_threads";
import { readCorpus, writeCorpus } from "./corpus.js";
import { distill, type Figures, Finding, fuzz } from "./fuzzer.js";
import type { FuzzMessage, FuzzTask } from "./protocol.js";
import { targetNamed } from "./targets.js";

const { target: name, seed, minutes, latest } = workerData as FuzzTask;
const target = targetNamed(name);
const counters = new Int32Array(latest, 0, 2);
const bytes = new Uint8Array(latest, 8);
const say = (message: FuzzMessage): void => parentPort?.postMessage(message);
const ends = performance.now() + minutes * 60_000;

try {
  const found = await fuzz(target, {
    corpus: readCorpus(name),
    seed,
    isOver: () => performance.now() > ends,
    onInput: (input) => {
      bytes.set(input);
      counters[1] = input.length;
      Atomics.add(counters, 0, 1);
    },
    onFigures: (figures) => say({ type: "figures", text: textOf(figures) }),
  });
  say({ type: "distilling" });
  const kept = await distill(target, [...readCorpus(name), ...found]);
  writeCorpus(name, kept);
  say({ type: "done", kept: kept.length });
} catch (error) {
  if (!(error instanceof Finding)) throw error;
  const { message, input, cause } = error;
  say({ type: "finding", message, stack: cause instanceof Error ? stackOf(cause) : "", input });
}

function textOf({ executions, accepted, verdicts, corpus, coverage }: Figures): string {
  const share = `${(100 * coverage).toFixed(1)} % of the sources ran`;
  const memory = `${Math.round(process.memoryUsage.rss() / 1e6)} MB`;
  return `${executions} inputs, ${accepted} accepted, ${verdicts} verdicts, ${corpus} kept, ${share}, ${memory}`;
}

/** An error's stack, and those of its causes. */
function stackOf(error: Error): string {
  const inner = error.cause instanceof Error ? `\nbecause ${stackOf(error.cause)}` : "";
  return `${error.stack}${inner}`;
}
