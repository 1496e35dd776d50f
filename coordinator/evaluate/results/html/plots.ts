import { decimalsFor, formatEstimate, formatNumber } from "../format.js";
import type { Summary } from "../summary.js";
import { html, type Markup } from "./markup.js";
import { modelName, rowClass } from "./overview.js";
import { scaleOver } from "./scale.js";
import { axis, barStrip, dotStrip } from "./strips.js";

/** One task: a dot per model with its interval, and the numbers beside. */
export function taskPlot(summary: Summary, column: number): Markup {
  const task = summary.tasks[column];
  if (task === undefined) return html``;
  const rows = summary.models.flatMap((model) => {
    const estimate = model.cells[column]?.estimate;
    return estimate === undefined ? [] : [{ model, estimate }];
  });
  const scale = scaleOver(rows.flatMap(({ estimate: { value, low, high } }) => [value, low, high]));
  const decimals = decimalsFor(rows.map(({ estimate }) => estimate.value));
  const lines = rows.map(({ model, estimate }) => {
    const text = formatEstimate(estimate, decimals);
    const [low, high] = [formatNumber(estimate.low, decimals), formatNumber(estimate.high, decimals)];
    const interval = Number.isNaN(estimate.low) ? "" : `, 95 % interval ${low} to ${high}`;
    const title = `${model.name}: ${text}${interval}`;
    return html`<tr${rowClass(model, summary)}><th scope="row">${modelName(model, summary)}</th>
<td class="plot">${dotStrip(title, estimate, scale)}</td><td class="figure">${text}</td></tr>`;
  });
  const better = task.higherIsBetter ? "higher is better" : "lower is better";
  return html`<section class="card"><h3>${task.name} <small>${task.metric}, ${better}</small></h3>
${plotTable(lines, axis(scale), "Model", task.metric)}</section>`;
}

/** Normalised averages as bars, with a line at what the experts reach. */
export function normalizedBars(summary: Summary): Markup | undefined {
  const rows = summary.models.flatMap((model) =>
    model.meanNormalized === undefined ? [] : [{ model, percent: 100 * model.meanNormalized }],
  );
  if (rows.length === 0) return undefined;
  const scale = scaleOver(
    rows.map(({ percent }) => percent),
    [0, 100],
  );
  const lines = rows.map(({ model, percent }) => {
    const text = `${formatNumber(percent, 1)} %`;
    return html`<tr${rowClass(model, summary)}><th scope="row">${modelName(model, summary)}</th>
<td class="plot">${barStrip(`${model.name}: ${text} of the experts`, percent, scale)}</td><td class="figure">${text}</td></tr>`;
  });
  return html`<section><h2>Share of the experts</h2>
<p class="note">Each task's score against that of its expert, averaged over the tasks that have one. Where lower is better, the expert's score against the model's.</p>
${plotTable(lines, axis(scale), "Model", "Mean of expert")}</section>`;
}

function plotTable(rows: readonly Markup[], below: Markup, first: string, last: string): Markup {
  return html`<table class="strips"><thead class="unseen"><tr><th scope="col">${first}</th><td></td><th scope="col">${last}</th></tr></thead>
<tbody>${rows}</tbody><tfoot><tr><td></td><td class="plot">${below}</td><td></td></tr></tfoot></table>`;
}
