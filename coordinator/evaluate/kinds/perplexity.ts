import { sumOf } from "../metrics/mean.js";
import { metricsOf } from "../metrics/metrics-of.js";
import { renderText } from "../tasks/render.js";
import type { PerplexitySettings } from "../tasks/settings.js";
import { encodeText, prefixOf } from "../text/continuation.js";
import { countWords } from "../text/whitespace.js";
import { rollingWindows } from "../text/windows.js";
import type { PrepareContext, Prepared, TaskOf } from "./context.js";
import { padOf } from "./encode-row.js";
import { predictsTokens } from "./graph-ends.js";
import { decoderPart } from "./likelihood.js";
import { mapRows } from "./map-rows.js";
import { mismatch, taskError } from "./mismatch.js";
import { idsOf, recordsOf, rowsOf } from "./rows.js";
import { Run } from "./run.js";

/** Where positions have no limit and the author gives none, as in lm-evaluation-harness. */
export const defaultWindow = 2048;

/** How likely a decoder finds texts: lm-evaluation-harness's `loglikelihood_rolling`. */
export async function preparePerplexity(task: TaskOf<PerplexitySettings>, context: PrepareContext): Promise<Prepared> {
  const { settings } = task;
  const graphs = context.graphs({ output: "hidden" });
  if (graphs.kind !== "decoder" || !predictsTokens(graphs)) {
    throw mismatch(task, context, graphs, "a model that predicts the next token (a decoder with its head)");
  }
  const tokenizer = await context.tokenizer();
  const prefix = prefixOf(tokenizer);
  if (prefix === undefined) {
    throw taskError(task, "The tokenizer names neither bos_token nor eos_token, one of which the first token follows");
  }
  const most = graphs.maxTokens ?? Number.POSITIVE_INFINITY;
  const window = Math.min(settings.window ?? Math.min(most, graphs.maxTokens ?? defaultWindow), most);
  const stride = Math.min(settings.stride ?? window, window);

  const rows = await rowsOf(task, settings, context);
  const ids = idsOf(rows, settings);
  const texts = rows.map((row) => renderText(settings.text, row));
  const windowsOf = await mapRows(
    texts,
    (text) => {
      return rollingWindows(encodeText(tokenizer, text, prefix), { prefix, window, stride });
    },
    context.signal,
  );
  const windows = windowsOf.flat();
  const run = new Run(decoderPart(task, windows, { pad: padOf(tokenizer), maxTokens: window, graphs }));
  return {
    ...{ task, graphs, batches: run.plans, metrics: metricsOf(task.kind), metricSettings: {} },
    load: (batch) => run.load(batch),
    finish: async (outputs) => {
      const logprobs = run.likelihoods(outputs).map((window) => sumOf([...window.logprobs]));
      let next = 0;
      return recordsOf(ids, (example) => {
        const own = windowsOf[example] ?? [];
        const text = texts[example] ?? "";
        const scores = {
          logprob: sumOf(logprobs.slice(next, next + own.length)),
          tokens: sumOf(own.map(({ continuation }) => continuation.length)),
          words: countWords(text),
          bytes: Buffer.byteLength(text),
        };
        next += own.length;
        return { scores };
      });
    },
    digest: run.digest(task.kind, settings, ids, texts),
  };
}
