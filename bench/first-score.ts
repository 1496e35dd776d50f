import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { tinyLlama, writeEvaluated } from "./evaluated-models.js";
import { offline, referenceScript } from "./evaluators.js";
import { alternate, type BenchContext, medianOf, medianRatio } from "./harness.js";
import { runAmalgam, runProcess } from "./processes.js";
import { mebibytes, ratio, seconds, type Table } from "./table.js";

const texts = 4;
const words = 64;

/** From the start of a process to the first batch's scores: what a user waits for. */
export async function timeToFirstScore(context: BenchContext, threads: number): Promise<Table> {
  const model = tinyLlama(context.modelBytes);
  const directory = writeEvaluated(join(context.folder, "first-score"), model);
  writeTokenizer(directory, Number(model.config["vocab_size"]));
  const files = writeTask(directory);
  const { amalgam, transformers } = await alternate(context, {
    amalgam: () => {
      const argv = ["eval", directory, files.task, "--json", "--threads", String(threads)];
      return runAmalgam(argv, { until: '"event":"batch"' });
    },
    transformers: () => {
      const argv = [referenceScript, "score", "sdpa", String(threads), directory, files.data];
      return runProcess(context.python, argv, { until: '"event": "batch"', env: offline });
    },
  });
  const secondsOf = (run: { readonly seconds: number }): number => run.seconds;
  const peakOf = (run: { readonly peakBytes: number }): number => run.peakBytes;
  return {
    title: "Time to first score",
    note:
      `A decoder of ${(context.modelBytes / 1e9).toFixed(1)} GB in bf16, page cache warm, cold processes: from start to ` +
      `the log-likelihoods of ${texts} texts of ${words} tokens. Amalgam's memory is that of command, agent and model together.`,
    columns: ["", "amalgam", "transformers", "amalgam is", "peak amalgam", "peak transformers", "smaller by"],
    rows: [
      [
        "`amalgam eval`",
        seconds(medianOf(amalgam, secondsOf)),
        seconds(medianOf(transformers, secondsOf)),
        `${ratio(medianRatio(transformers, amalgam, secondsOf, secondsOf))} faster`,
        mebibytes(medianOf(amalgam, peakOf)),
        mebibytes(medianOf(transformers, peakOf)),
        ratio(medianRatio(transformers, amalgam, peakOf, peakOf)),
      ],
    ],
  };
}

/** Words `w1`, `w2` and so on, each a token. */
function writeTokenizer(directory: string, vocabulary: number): void {
  const special = { id: 0, content: "<s>", single_word: false, lstrip: false, rstrip: false, normalized: false };
  const vocab = Object.fromEntries(Array.from({ length: vocabulary }, (_, i) => [i === 0 ? "<s>" : `w${i}`, i]));
  const tokenizer = {
    version: "1.0",
    added_tokens: [{ ...special, special: true }],
    pre_tokenizer: { type: "WhitespaceSplit" },
    model: { type: "WordLevel", vocab, unk_token: "<s>" },
  };
  const config = { tokenizer_class: "PreTrainedTokenizerFast", bos_token: "<s>", eos_token: "<s>" };
  writeFileSync(join(directory, "tokenizer.json"), JSON.stringify(tokenizer));
  writeFileSync(join(directory, "tokenizer_config.json"), JSON.stringify(config));
}

function writeTask(directory: string): { readonly task: string; readonly data: string } {
  const data = join(directory, "texts.jsonl");
  const text = (number: number): string =>
    Array.from({ length: words }, (_, i) => `w${1 + (((number * words + i) * 7919) % 30_000)}`).join(" ");
  const rows = Array.from({ length: texts }, (_, number) => JSON.stringify({ text: text(number) }));
  writeFileSync(data, `${rows.join("\n")}\n`);
  const task = join(directory, "tasks.yaml");
  writeFileSync(task, 'tasks:\n  likelihood: {kind: perplexity, data: texts.jsonl, text: "{{text}}"}\n');
  return { task, data };
}
