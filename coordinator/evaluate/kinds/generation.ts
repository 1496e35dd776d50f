import type { ModelGraphs } from "../../graphs/types.js";
import { metricsOf } from "../metrics/metrics-of.js";
import { render, renderText } from "../tasks/render.js";
import type { GenerationSettings } from "../tasks/settings.js";
import { renderChat } from "../text/chat.js";
import { encodeText, prefixOf } from "../text/continuation.js";
import { endTokens } from "../text/end-tokens.js";
import { stopTokens } from "../text/stop-tokens.js";
import type { Encoded, TextTokenizer } from "../text/tokenizer.js";
import type { ExampleRecord, Row } from "../types.js";
import type { PrepareContext, Prepared, TaskOf } from "./context.js";
import { padOf } from "./encode-row.js";
import { cutAt, exactMatch, extract, wordF1 } from "./exact-match.js";
import { predictsTokens } from "./graph-ends.js";
import { mapRows } from "./map-rows.js";
import { mismatch, rowError, taskError } from "./mismatch.js";
import { idsOf, recordsOf, rowsOf } from "./rows.js";
import { Run } from "./run.js";
import { textInputs } from "./text-inputs.js";

/** What the model writes after a prompt, always the likeliest token. */
export async function prepareGeneration(task: TaskOf<GenerationSettings>, context: PrepareContext): Promise<Prepared> {
  const { settings } = task;
  const graphs = context.graphs({ generates: true });
  // An export without caches runs anew for every token, which is slow, and right.
  if (graphs.graphs.step === undefined && !predictsTokens(graphs)) {
    throw mismatch(task, context, graphs, "a model that generates text (a decoder or T5, with its head)");
  }
  const tokenizer = await context.tokenizer();
  const rows = await rowsOf(task, settings, context);
  const ids = idsOf(rows, settings);
  const answers = rows.map((row) => answersOf(row, settings));
  const maxTokens = promptRoom(task, graphs);
  const prompts = await mapRows(rows, (row) => promptOf(row, settings, tokenizer, maxTokens), context.signal);

  const { maxNewTokens, until } = settings;
  const ends = await endTokens(context.directory, context.config, tokenizer);
  const stop = stopTokens(tokenizer, ends, until);
  // Where the prompt itself is continued its end has to be the last column, whatever its length.
  const side = graphs.kind === "seq2seq" ? "right" : "left";
  const inputs = new Set(["input_ids", "attention_mask"]);
  const run = new Run({
    measure: { kind: "generation", maxNewTokens, stop },
    inputs: textInputs(task, prompts, { pad: padOf(tokenizer), inputs, side, more: maxNewTokens }),
  });
  return {
    ...{ task, graphs, batches: run.plans, metrics: metricsOf(task.kind), metricSettings: {} },
    load: (batch) => run.load(batch),
    finish: async (outputs) => {
      const generated = run.tokens(outputs);
      return recordsOf(ids, (example) => {
        const text = tokenizer.decode([...(generated[example] ?? [])]);
        return judged(text, answers[example] ?? [], settings);
      });
    },
    digest: run.digest(task.kind, settings, ids, answers, tokenizer.digest),
  };
}

/** Scores of a written text: those of the right answer that it comes nearest to. No match of the pattern scores 0. */
export function judged(
  text: string,
  answers: readonly string[],
  settings: Pick<GenerationSettings, "until" | "extract" | "ignoreCase" | "ignorePunctuation">,
): Omit<ExampleRecord, "id"> {
  const prediction = extract(cutAt(text, settings.until), settings.extract);
  const most = (score: (text: string, answer: string) => number): number =>
    prediction === undefined ? 0 : Math.max(0, ...answers.map((answer) => score(prediction, answer)));
  const scores = { exact_match: most((a, b) => exactMatch(a, b, settings)), f1: most(wordF1) };
  return { scores, prediction: prediction ?? null, answer: answers.length === 1 ? answers[0] : answers };
}

function answersOf(row: Row, { answer }: GenerationSettings): readonly string[] {
  const value = render(answer, row);
  if (!Array.isArray(value)) return [renderText(answer, row)];
  const answers = value.map((one: unknown) => (typeof one === "number" ? String(one) : one));
  if (answers.length > 0 && answers.every((one) => typeof one === "string")) return answers;
  throw rowError(row, "The right answers must be a list of texts with one at least");
}

/** Tokens that a prompt may have, so that what is generated still has positions. */
function promptRoom({ settings, ...task }: TaskOf<GenerationSettings>, graphs: ModelGraphs): number {
  const { maxTokens = Number.POSITIVE_INFINITY, maxNewTokens } = settings;
  const positions = graphs.maxTokens ?? Number.POSITIVE_INFINITY;
  const room = graphs.kind === "seq2seq" ? positions : positions - maxNewTokens;
  if (room >= 1) return Math.min(maxTokens, room);
  throw taskError(
    { ...task, settings },
    `max_new_tokens ${maxNewTokens} leaves no room for a prompt: the model takes ${positions} tokens`,
  );
}

function promptOf(row: Row, settings: GenerationSettings, tokenizer: TextTokenizer, maxTokens: number): Encoded {
  const prompt = renderText(settings.prompt, row);
  const prefix = prefixOf(tokenizer);
  const whole = settings.chat
    ? tokenizer.encode(renderChat(tokenizer, [{ role: "user", content: prompt }]), { addSpecial: false }).ids
    : encodeText(tokenizer, prompt, prefix);
  // As in lm-evaluation-harness, special tokens at the cut end go first.
  const cut = settings.truncation === "left" ? whole.slice(-maxTokens) : whole.slice(0, maxTokens);
  const ids = cut.length === 0 && prefix !== undefined ? [prefix] : cut;
  if (ids.length === 0) throw rowError(row, "The prompt is empty, and the tokenizer names no first token");
  return { ids, types: new Array<number>(ids.length).fill(0) };
}
