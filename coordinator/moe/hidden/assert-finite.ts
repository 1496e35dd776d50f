import { formatCount, quote } from "../../../shared/quote.js";
import { Complaints } from "../../recipe/complaints.js";
import type { MoeConfig } from "../config.js";
import { findNonFinite, type PromptStates } from "./gate-rows.js";
import type { HiddenQuestions } from "./questions.js";

/** Fails with `recipe_invalid`, at the expert whose prompt it is, where a hidden state is NaN or infinite. */
export function assertFinite(
  config: Pick<MoeConfig, "file" | "base">,
  questions: Pick<HiddenQuestions, "sequences" | "experts" | "sharedExperts">,
  found: PromptStates,
): void {
  const broken = findNonFinite(found);
  if (broken === undefined) return;
  const { sequence, layer } = broken;
  const of = ({ positive, negative }: HiddenQuestions["experts"][number]): boolean =>
    positive.includes(sequence) || negative.includes(sequence);
  const at = [...questions.experts, ...questions.sharedExperts].find(of)?.at ?? config.base.at;
  const tokens = `${formatCount(questions.sequences[sequence]?.length ?? 0)} tokens`;
  const states = `the hidden states of ${quote(config.base.value.text)} before layer ${layer} are not finite`;
  new Complaints(config.file).fail(at, `A prompt of ${tokens} makes no gates: ${states}`);
}
