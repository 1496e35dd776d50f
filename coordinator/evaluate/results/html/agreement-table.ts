import type { ModelResult } from "../../types.js";
import { agreementMatrix } from "../agreement.js";
import { nothing } from "../format.js";
import { html, type Markup } from "./markup.js";

/** Models in the matrix at most: it grows with their square. */
const maxModels = 24;

/** How often each pair of models says the same. Nothing where there are not two to compare. */
export function agreementTable(all: readonly ModelResult[]): Markup | undefined {
  const models = all.slice(0, maxModels);
  const matrix = agreementMatrix(models);
  if (models.length < 2 || !matrix.some((row, i) => row.some(({ examples }, k) => k !== i && examples > 0))) {
    return undefined;
  }
  const rows = models.map(({ name }, i) => {
    const cells = (matrix[i] ?? []).map(({ same, examples }, k) => {
      if (i === k || examples === 0) return html`<td>${i === k ? "" : nothing}</td>`;
      const share = (100 * same) / examples;
      const title = `${same} of ${examples} examples`;
      return html`<td style="--shade:${share.toFixed(0)}%" title="${title}">${share.toFixed(1)}</td>`;
    });
    return html`<tr><th scope="row">${i + 1} ${name}</th>${cells}</tr>`;
  });
  const heads = models.map(({ name }, i) => html`<th scope="col"><abbr title="${name}">${i + 1}</abbr></th>`);
  const cut = all.length > maxModels ? ` The first ${maxModels} models of ${all.length}.` : "";
  return html`<section><h2>Agreement</h2>
<p class="note">Percent of the examples on which two models predict the same; where predictions are measurements, on which both are right or both wrong.${cut}</p>
<div class="scroll" tabindex="0" role="region" aria-label="Agreement between models"><table class="matrix">
<thead><tr><th scope="col">Model</th>${heads}</tr></thead><tbody>${rows}</tbody></table></div></section>`;
}
