import type { GenerationSettings } from "../tasks/settings.js";

type Normalization = Pick<GenerationSettings, "ignoreCase" | "ignorePunctuation">;

/** Python's `string.punctuation`, which lm-evaluation-harness and SQuAD's script take out. */
const punctuation = /[!-/:-@[-`{-~]/g;

/** 1 when two texts are the same but for white space, and for what is to be ignored. */
export function exactMatch(prediction: string, answer: string, how: Normalization): number {
  return normalize(prediction, how) === normalize(answer, how) ? 1 : 0;
}

function normalize(text: string, { ignoreCase, ignorePunctuation }: Normalization): string {
  const cased = ignoreCase ? text.toLowerCase() : text;
  const plain = ignorePunctuation ? cased.replace(punctuation, "") : cased;
  return plain.split(/\s+/u).filter(Boolean).join(" ");
}

/** SQuAD's F1 of words, in lower case and without punctuation and English articles (Rajpurkar et al. 2016). */
export function wordF1(prediction: string, answer: string): number {
  const [predicted, right] = [squadWords(prediction), squadWords(answer)];
  const left = new Map<string, number>();
  for (const word of right) left.set(word, (left.get(word) ?? 0) + 1);
  let same = 0;
  for (const word of predicted) {
    const count = left.get(word) ?? 0;
    if (count > 0) same++;
    left.set(word, count - 1);
  }
  if (predicted.length === 0 || right.length === 0) return predicted.length === right.length ? 1 : 0;
  return (2 * same) / (predicted.length + right.length);
}

function squadWords(text: string): readonly string[] {
  const plain = text.toLowerCase().replace(punctuation, "");
  return plain
    .replace(/(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu, " ")
    .split(/\s+/u)
    .filter(Boolean);
}

/** A text up to the first of the stop texts. */
export function cutAt(text: string, until: readonly string[]): string {
  const places = until.map((stop) => text.indexOf(stop)).filter((place) => place >= 0);
  return text.slice(0, Math.min(text.length, ...places));
}

/** The part of a text that counts; undefined when the pattern is not in it. */
export function extract(text: string, how: GenerationSettings["extract"]): string | undefined {
  if (how === undefined) return text;
  const matches = [...text.matchAll(new RegExp(how.pattern, "gm"))];
  const match = how.take === "last" ? matches.at(-1) : matches[0];
  return match === undefined ? undefined : (match[1] ?? match[0]);
}
