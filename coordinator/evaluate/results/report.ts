import { formatCount } from "../../../shared/quote.js";
import type { EvaluationResult } from "../types.js";
import { agreementTable } from "./html/agreement-table.js";
import { disagreementList } from "./html/disagreement-list.js";
import { html, trusted } from "./html/markup.js";
import { overview } from "./html/overview.js";
import { normalizedBars, taskPlot } from "./html/plots.js";
import { runsTable } from "./html/runs-table.js";
import { style } from "./html/style.js";
import { summarize } from "./summary.js";

/**
 * All of an evaluation as one page that loads nothing and runs nothing. Every text of models, tasks and data is escaped;
 * a content policy forbids scripts and requests should anything be missed.
 */
export function toHtml(result: EvaluationResult): string {
  const { models, taskFile, version } = result;
  const summary = summarize(result);
  const { tasks } = summary;
  const examples = models.flatMap((model) => model.tasks).reduce((sum, { records }) => sum + records.length, 0);
  const counts = [counted(models.length, "model"), counted(tasks.length, "task"), counted(examples, "record")];
  const plots = tasks.map((_, column) => taskPlot(summary, column));
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Evaluation · ${taskFile}</title>
<style>${trusted(style)}</style>
</head>
<body>
<header><h1>${headline(models.map(({ name }) => name))}</h1>
<p class="lead">${taskFile} · ${counts.join(" · ")} · Amalgam ${version}</p></header>
<main>
<section><h2>Scores</h2>
<p class="note">Each score with half of its 95 % bootstrap interval and its share of the task's expert, where there is one. Within a task, the stronger the colour the better; an expert's own task is underlined.</p>
${overview(summary)}</section>
${normalizedBars(summary)}
<section><h2>Tasks</h2><div class="cards">${plots}</div></section>
${agreementTable(models)}
${disagreementList(models)}
${runsTable(models)}
</main>
</body>
</html>
`.text;
}

function headline(names: readonly string[]): string {
  const shown = names.slice(0, 4).join(", ");
  return names.length > 4 ? `${shown} and ${names.length - 4} more` : shown;
}

function counted(count: number, what: string): string {
  return `${formatCount(count)} ${what}${count === 1 ? "" : "s"}`;
}
