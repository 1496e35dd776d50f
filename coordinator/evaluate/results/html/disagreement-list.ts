import type { ModelResult } from "../../types.js";
import { type Disagreement, disagreements } from "../disagreement.js";
import { formatNumber, nothing } from "../format.js";
import { html, type Markup } from "./markup.js";

const shownExamples = 20;

/** Characters of a prediction or an answer at most. */
const maxText = 400;

/** The examples that divide the models most, with what each said. Nothing where none does. */
export function disagreementList(models: readonly ModelResult[]): Markup | undefined {
  const examples = disagreements(models, shownExamples);
  if (examples.length === 0) return undefined;
  return html`<section><h2>Where models differ most</h2>
<p class="note">The ${examples.length === 1 ? "example" : `${examples.length} examples`} on which scores lie furthest apart.</p>
<ol class="examples">${examples.map(item)}</ol></section>`;
}

function item({ task, id, answer, said }: Disagreement): Markup {
  const right = answer === undefined ? undefined : html` · answer: <span class="text">${shown(answer)}</span>`;
  const rows = grouped(said).map(({ score, prediction, models }) => {
    const text = prediction === undefined ? nothing : shown(prediction);
    return html`<tr><td>${mark(score)}</td><td class="text">${text}</td><td>${models.join(", ")}</td></tr>`;
  });
  return html`<li><p class="which">${task} · ${clip(id)}${right}</p><table class="said"><colgroup><col class="mark"><col><col class="who"></colgroup>
<thead class="unseen"><tr><th scope="col">Score</th><th scope="col">Prediction</th><th scope="col">Models</th></tr></thead><tbody>${rows}</tbody></table></li>`;
}

/** Right and wrong as signs that need no colour to be told apart; other scores as numbers. */
function mark(score: number | undefined): Markup {
  if (score === 1) return html`<span class="good" role="img" aria-label="right">✓</span>`;
  if (score === 0) return html`<span class="bad" role="img" aria-label="wrong">✗</span>`;
  return html`${formatNumber(score, 3)}`;
}

/** Models that said the same and got the same for it, the best first. */
function grouped(said: Disagreement["said"]) {
  const groups = new Map<string, { score: number | undefined; prediction: unknown; models: string[] }>();
  for (const { model, score, prediction } of said) {
    const key = JSON.stringify([score, prediction]);
    const group = groups.get(key) ?? { score, prediction, models: [] };
    group.models.push(model);
    groups.set(key, group);
  }
  return [...groups.values()].toSorted((a, b) => (b.score ?? 0) - (a.score ?? 0));
}

function shown(value: unknown): string {
  return clip(typeof value === "string" ? value : (JSON.stringify(value) ?? ""));
}

function clip(text: string): string {
  return text.length > maxText ? `${text.slice(0, maxText)}…` : text;
}
