import { sumOf } from "../metrics/mean.js";
import { metricsOf } from "../metrics/metrics-of.js";
import { renderText } from "../tasks/render.js";
import type { MultipleChoiceSettings } from "../tasks/settings.js";
import { renderChat } from "../text/chat.js";
import { encodePair, prefixOf } from "../text/continuation.js";
import type { ExampleRecord } from "../types.js";
import { answerOf, choicesOf } from "./choices.js";
import type { PrepareContext, Prepared, TaskOf } from "./context.js";
import { maxTokensOf, padOf } from "./encode-row.js";
import { predictsTokens } from "./graph-ends.js";
import { decoderPart, seq2seqPart } from "./likelihood.js";
import { mapRows } from "./map-rows.js";
import { mismatch, rowError } from "./mismatch.js";
import { defaultWindow } from "./perplexity.js";
import { idsOf, recordsOf, rowsOf } from "./rows.js";
import { Run } from "./run.js";

/** Which of some continuations the model finds likeliest: lm-evaluation-harness's `multiple_choice`. */
export async function prepareMultipleChoice(
  task: TaskOf<MultipleChoiceSettings>,
  context: PrepareContext,
): Promise<Prepared> {
  const { settings } = task;
  const graphs = context.graphs({ output: "hidden" });
  const isSeq2seq = graphs.kind === "seq2seq";
  if ((!isSeq2seq && graphs.kind !== "decoder") || !predictsTokens(graphs)) {
    throw mismatch(task, context, graphs, "a model that predicts tokens (a decoder or T5, with its head)");
  }
  const tokenizer = await context.tokenizer();
  const prefix = prefixOf(tokenizer);
  const maxTokens = maxTokensOf(settings, graphs) ?? defaultWindow;
  const rows = await rowsOf(task, settings, context);
  const ids = idsOf(rows, settings);
  const questions = await mapRows(
    rows,
    (row) => {
      const choices = choicesOf(settings.choices, row);
      const prompt = renderText(settings.prompt, row);
      const start = settings.chat ? renderChat(tokenizer, [{ role: "user", content: prompt }]) : prompt;
      // A chat's template says itself what stands before an answer.
      const delimiter = settings.chat ? "" : settings.delimiter;
      const sequences = choices.map((choice, i) => {
        const options = { prefix, isSeq2seq, isWhole: settings.chat };
        const pair = encodePair(tokenizer, start, delimiter + choice, options);
        if (pair.context.length === 0)
          throw rowError(row, "The prompt is empty, and the tokenizer names no first token");
        if (pair.continuation.length > maxTokens) {
          throw rowError(row, `A choice has ${pair.continuation.length} tokens, the model takes ${maxTokens}`);
        }
        if (pair.continuation.length === 0) {
          const advice = 'put a "delimiter" between them that keeps their tokens apart';
          throw rowError(row, `Choice ${i} adds no token to the prompt, so nothing says how likely it is: ${advice}`);
        }
        if (settings.truncation === "left") return pair;
        // The last token of a decoder's text is only predicted.
        const room = isSeq2seq ? maxTokens : maxTokens + 1 - pair.continuation.length;
        return { ...pair, context: pair.context.slice(0, room) };
      });
      return { choices, sequences, answer: answerOf(settings.answer, choices, row) };
    },
    context.signal,
  );
  const partOf = isSeq2seq ? seq2seqPart : decoderPart;
  const sequences = questions.flatMap((question) => question.sequences);
  const run = new Run(partOf(task, sequences, { pad: padOf(tokenizer), maxTokens, graphs }));
  return {
    ...{ task, graphs, batches: run.plans, metrics: metricsOf(task.kind), metricSettings: {} },
    load: (batch) => run.load(batch),
    finish: async (outputs) => {
      const logprobs = run.likelihoods(outputs).map((one) => sumOf([...one.logprobs]));
      let next = 0;
      return recordsOf(ids, (example) => {
        const { choices = [], answer = 0 } = questions[example] ?? {};
        const own = logprobs.slice(next, next + choices.length);
        next += choices.length;
        return chosen(own, choices, answer);
      });
    },
    digest: run.digest(
      task.kind,
      settings,
      ids,
      questions.map(({ choices, answer }) => [choices, answer]),
    ),
  };
}

/**
 * lm-evaluation-harness's scores: the likeliest choice, and the likeliest by log-likelihood per character (`acc_norm`)
 * and per byte (`acc_bytes`) of the choice alone. Characters are Unicode's code points, as in Python. A model that gives
 * NaN chooses nothing, which is never right.
 */
export function chosen(
  logprobs: readonly number[],
  choices: readonly string[],
  answer: number,
): Omit<ExampleRecord, "id"> {
  const best = indexOfMost(logprobs);
  const perCharacter = logprobs.map((logprob, i) => logprob / [...(choices[i] ?? "")].length);
  const perByte = logprobs.map((logprob, i) => logprob / Buffer.byteLength(choices[i] ?? ""));
  const scores = {
    acc: best === answer ? 1 : 0,
    acc_norm: indexOfMost(perCharacter) === answer ? 1 : 0,
    acc_bytes: indexOfMost(perByte) === answer ? 1 : 0,
    logprob: logprobs[answer] ?? Number.NaN,
  };
  return { scores, prediction: best ?? null, answer };
}

/** The first of equals; undefined where one is NaN. */
function indexOfMost(values: readonly number[]): number | undefined {
  if (values.some(Number.isNaN)) return undefined;
  return values.reduce((best, value, i) => (value > (values[best] ?? Number.NaN) ? i : best), 0);
}
