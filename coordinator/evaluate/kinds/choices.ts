import { quote, quoteList } from "../../../shared/quote.js";
import { render, renderList, renderText } from "../tasks/render.js";
import type { MultipleChoiceSettings } from "../tasks/settings.js";
import type { Template } from "../tasks/template.js";
import type { Row } from "../types.js";
import { rowError } from "./mismatch.js";

/** A row's choices, at least two: those of one list, or one from each template. */
export function choicesOf(choices: MultipleChoiceSettings["choices"], row: Row): readonly string[] {
  const texts = isList(choices)
    ? choices.map((template) => renderText(template, row))
    : renderList(choices, row).map((choice) => textOf(choice, row));
  if (texts.length < 2) throw rowError(row, `There must be two choices or more, found ${texts.length}`);
  if (texts.includes("")) throw rowError(row, `Choice ${texts.indexOf("")} is empty, choices count from 0`);
  return texts;
}

/** The right choice's number. What stands for it is said at {@link MultipleChoiceSettings.answer}. */
export function answerOf(template: Template, choices: readonly string[], row: Row): number {
  const value = render(template, row);
  const found = typeof value === "string" ? placeOf(value, choices) : Number(value);
  const isNumber = typeof value === "string" || typeof value === "number" || typeof value === "bigint";
  if (isNumber && Number.isInteger(found) && found >= 0 && found < choices.length) return found;
  const shown = typeof value === "string" ? quote(value) : String(value);
  throw rowError(row, `Answer ${shown} is not one of the ${choices.length} choices ${quoteList(choices)}`);
}

function placeOf(text: string, choices: readonly string[]): number {
  const same = choices.indexOf(text);
  if (same >= 0) return same;
  const trimmed = text.trim();
  if (/^\d+$/.test(trimmed)) return Number(trimmed);
  return /^[A-Z]$/.test(trimmed) ? trimmed.charCodeAt(0) - "A".charCodeAt(0) : -1;
}

function textOf(choice: unknown, row: Row): string {
  if (typeof choice === "string") return choice;
  if (typeof choice === "number") return String(choice);
  throw rowError(row, "Every choice must be text");
}

function isList(choices: MultipleChoiceSettings["choices"]): choices is readonly Template[] {
  return Array.isArray(choices);
}
