import { columnDecimals, formatNumber, formatSigned, nothing } from "../format.js";
import type { Cell, ModelSummary, Summary, TaskColumn } from "../summary.js";
import { html, type Markup } from "./markup.js";

/** Models by tasks: the metric, half its interval, the share of the expert, shaded from the worst of a task to its best. */
export function overview(summary: Summary): Markup {
  const { tasks, models } = summary;
  const decimals = columnDecimals(summary);
  const shades = tasks.map((task, i) =>
    shadesOf(
      task,
      models.map(({ cells }) => cells[i]),
    ),
  );
  const averages = averageColumns.filter(({ of }) => models.some((model) => of(model) !== undefined));
  const rows = models.map((model, row) => {
    const cells = model.cells.map((cell, i) => {
      const isOwn = tasks[i]?.expert === model.name;
      return taskCell(cell, decimals[i] ?? 0, shades[i]?.[row] ?? 0, isOwn);
    });
    const means = averages.map(({ of, format }) => html`<td class="mean">${format(of(model))}</td>`);
    return html`<tr${rowClass(model, summary)}><th scope="row">${modelName(model, summary)}</th>${cells}${means}</tr>`;
  });
  const heads = tasks.map(
    ({ name, metric, higherIsBetter }) =>
      html`<th scope="col">${name}<small>${metric}${higherIsBetter ? "" : " ↓"}</small></th>`,
  );
  const means = averages.map(({ title, below }) => html`<th scope="col">${title}<small>${below}</small></th>`);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Scores of all models"><table class="heat">
<thead><tr><th scope="col">Model</th>${heads}${means}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

/** A model's name with what it is. */
export function modelName({ name, role }: Pick<ModelSummary, "name" | "role">, { bestMerge }: Summary): Markup {
  const tag = role === "model" ? (name === bestMerge ? "best merge" : undefined) : role;
  return html`<span class="name">${name}</span>${tag === undefined ? undefined : html` <span class="tag">${tag}</span>`}`;
}

/** The class of a row, for its colours. */
export function rowClass({ name, role }: Pick<ModelSummary, "name" | "role">, { bestMerge }: Summary): Markup {
  return html` class="${role === "model" && name === bestMerge ? "best" : role}"`;
}

function taskCell(cell: Cell | undefined, decimals: number, shade: number, isOwn: boolean): Markup {
  if (cell === undefined) return html`<td class="none">${nothing}</td>`;
  const { estimate, normalized } = cell;
  const half = (estimate.high - estimate.low) / 2;
  const interval = Number.isFinite(half) ? html`<span class="half">±${half.toFixed(decimals)}</span>` : undefined;
  const share = normalized === undefined ? undefined : html`<small>${formatShare(normalized)}</small>`;
  const value = html`<span class="value">${formatNumber(estimate.value, decimals)}</span>`;
  return html`<td${isOwn ? html` class="own"` : undefined} style="--shade:${shade.toFixed(0)}%">${value}${interval}${share}</td>`;
}

const formatShare = (ratio: number | undefined): string =>
  ratio === undefined ? nothing : `${formatNumber(100 * ratio, 1)} %`;

const averageColumns: readonly {
  readonly title: string;
  readonly below: string;
  of(model: ModelSummary): number | undefined;
  format(value: number | undefined): string;
}[] = [
  { title: "Mean", below: "raw", of: (model) => model.meanRaw, format: (value) => formatNumber(value, 3) },
  { title: "Mean", below: "of expert", of: (model) => model.meanNormalized, format: formatShare },
  { title: "Worst", below: "task", of: (model) => model.worst?.ratio, format: formatShare },
  { title: "Lost", below: "to base", of: (model) => model.meanForgotten, format: (value) => formatNumber(value, 3) },
  { title: "Retained", below: "elsewhere", of: (model) => model.retained, format: formatShare },
  {
    title: "Gap",
    below: "to best single",
    of: (model) => model.gapToBestSingle,
    format: (value) => formatSigned(value, 3),
  },
];

/** Percent from the worst model of a task to its best; 0 for all where they are equal. */
function shadesOf(task: TaskColumn, cells: readonly (Cell | undefined)[]): readonly number[] {
  const sign = task.higherIsBetter ? 1 : -1;
  const values = cells.map((cell) => sign * (cell?.estimate.value ?? Number.NaN));
  const finite = values.filter(Number.isFinite);
  const low = Math.min(...finite);
  const span = Math.max(...finite) - low;
  return values.map((value) => (Number.isFinite(value) && span > 0 ? ((value - low) / span) * 100 : 0));
}
