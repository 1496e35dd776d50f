import type { ReportData } from "../data.js";
import { make, type PageElement } from "./dom.js";

/** A number as a person reads it: about four digits. */
export function shortNumber(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value).replace("-", "−");
  const text =
    Math.abs(value) >= 1e5 || Math.abs(value) < 1e-4 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  return text.replace("-", "−");
}

/** A score, so that scores line up below each other. */
export function scoreText(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  return Math.abs(value) >= 0.001 && Math.abs(value) < 100 ? value.toFixed(3).replace("-", "−") : shortNumber(value);
}

/** A value of a parameter. */
export function valueText({ dimensions }: ReportData, dimension: number, which: number): string {
  const { values, choices, kind } = dimensions[dimension] ?? { values: [], choices: [], kind: "range" };
  const value = values[which];
  return kind === "choice" && value !== null && value !== undefined ? (choices[value] ?? "–") : shortNumber(value);
}

/** What is shown beside a trial under the pointer: text only, whatever names are made of. */
export function trialTip(data: ReportData, which: number, scores: readonly number[]): PageElement {
  const lines = scores.map((s) => {
    const { name = "", values = [] } = data.scores[s] ?? {};
    return make("div", {}, `${name} `, make("b", {}, scoreText(values[which])));
  });
  const note = data.trials.notes[which];
  return make(
    "div",
    { class: "tip" },
    make("div", { class: "tip-title" }, `Trial ${data.trials.number[which]}`),
    ...lines,
    ...(note === undefined ? [] : [make("div", { class: "tip-note" }, note)]),
  );
}
