import { basename } from "node:path";
import { packageVersion } from "../../../shared/rpc/version.js";
import { html, type Markup, trusted } from "../../evaluate/results/html/markup.js";
import { style } from "../../evaluate/results/html/style.js";
import { type AskedExample, shown } from "./agreement.js";
import { comparison, tiles, warningsOf } from "./headline.js";
import type { Report } from "./report-data.js";
import { pageScript, plotsScript } from "./scripts.js";
import { sweepStyle } from "./style.js";
import type { SweepFolder } from "./sweep-folder.js";

/** Examples in the list of the hardest. */
const hardestShown = 12;

/**
 * All of a sweep as one page that loads nothing. Texts of models, tasks and data are escaped in its markup and are data to its
 * scripts, which put them in as text; the content policy knows its two scripts by their digests and forbids all requests.
 */
export function toHtml(sweep: SweepFolder, { data, examples, limits }: Report): string {
  const { state, result, trials, spec } = sweep;
  const name = basename(state.file);
  const [plots, page] = [plotsScript(), pageScript()];
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src '${plots.digest}' '${page.digest}'`;
  const search = spec?.search.kind.name ?? result?.search;
  const lead = [
    ...(search === undefined ? [] : [search]),
    `${data.dimensions.length} ${data.dimensions.length === 1 ? "parameter" : "parameters"}`,
    ...(state.state === "done" && state.ended !== undefined ? [state.ended] : []),
    `Amalgam ${packageVersion()}`,
  ];
  const none = trials.length === 0 ? "There are no trials yet." : "No trial has a score yet.";
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>Sweep · ${name}</title>
<style>${trusted(style)}${trusted(sweepStyle)}</style>
</head>
<body>
<header><h1>Sweep of ${name}</h1>
<p class="lead">${lead.join(" · ")}</p></header>
${tiles(sweep)}
${warningsOf(sweep, limits)}
${comparison(sweep)}
${data.scores.length > 0 ? plotSections(examples) : html`<p>${none}</p>`}
<script type="application/json" id="data">${trusted(inScript(data))}</script>
<script>${trusted(plots.text)}</script>
<script>${trusted(page.text)}</script>
</body>
</html>
`.text;
}

/** JSON that nothing can end but the element that it stands in. */
function inScript(data: unknown): string {
  return JSON.stringify(data).replace(/[<\u2028\u2029]/g, (found) => {
    return `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

function plotSections(examples: readonly AskedExample[]): Markup {
  return html`<div class="controls"><label>Score <select id="score"></select></label>
<button type="button" id="clear" hidden>Show all trials</button></div>
<div id="layout"><main>
<section><h2>Score over trials</h2>
<p class="note">A click, or the arrow keys, select a trial and show its recipe. A rectangle drawn with the mouse chooses trials in all plots.</p>
${plotArea("over-trials", "Score over trials")}</section>
<div class="pair">
<section id="against-section"><h2>Scores against each other</h2>
<div class="choices"><label>Across <select id="against-x"></select></label><label>Up <select id="against-y"></select></label></div>
${plotArea("against", "Two scores against each other")}
<p class="note">Large: merges that no other one beats in all objectives. The line: in these two scores.</p></section>
<section id="importance-section"><h2>What matters</h2>
<p class="note">How much of the differences between trials a parameter accounts for by itself: ε² of the ranks over bins of its values, 0 where it makes no difference. It sees no interactions; parameters that the search moved together share the credit.<span id="importance-limit"></span></p>
${plotArea("importance", "Importance of parameters")}</section>
</div>
<div id="parameters-section">
<section><h2>Parameters together</h2>
<p class="note">A line for each trial, the best ones strongest. Drag along an axis to choose trials; a click on the axis takes it back.<span id="parallel-limit"></span></p>
${plotArea("parallel", "Parameters of trials, an axis for each", "tall")}</section>
<section><h2>Parameters one by one</h2>
<p class="note">The score against each parameter.<span id="slices-limit"></span></p>
${plotArea("slices", "Score against each parameter")}</section>
</div>
<section id="agreement-section"><h2>Example by example</h2>
<div class="choices"><label>On <select id="agreement-of"></select></label></div>
<p class="note">Who is right about which example, those that the best trials find hardest on the left; above, how often the best trials agree with one another and with the answer.<span id="agreement-limit"></span></p>
${plotArea("agreement", "Models against examples")}
${hardest(examples)}</section>
<section id="times-section"><h2>Where the time goes</h2>
<p class="note">Of a trial, on average, by agent: planning here, waiting for the agent, and reading, merging, loading and running there.</p>
${plotArea("times", "Time of trials by agent")}</section>
<section><h2>Best trials</h2>
<p class="note" id="table-limit" aria-live="polite"></p>
<div class="scroll rows" tabindex="0" role="region" aria-label="Best trials"><table class="trials" id="table"></table></div></section>
</main>
${panel}</div>`;
}

function plotArea(id: string, label: string, more = ""): Markup {
  return html`<div class="plot${more === "" ? "" : ` ${more}`}" id="${id}" tabindex="0" role="group" aria-label="${label}"></div>`;
}

/** What the best trials are most often wrong about. */
function hardest(examples: readonly AskedExample[]): Markup | undefined {
  const hard = examples.filter(({ right }) => right < 1).slice(0, hardestShown);
  if (hard.length === 0) return undefined;
  const rows = hard.map(({ task, id, answer, right, agree, records }) => {
    const said = new Map<string, number>();
    for (const record of records) {
      const text = shown(record?.prediction);
      if (text !== "") said.set(text, (said.get(text) ?? 0) + 1);
    }
    const [most = ""] = [...said.keys()].toSorted((a, b) => (said.get(b) ?? 0) - (said.get(a) ?? 0));
    return html`<tr><td>${task}</td><td>${id.slice(0, 80)}</td><td>${answer}</td><td>${most}</td><td>${percent(right)}</td><td>${percent(agree)}</td></tr>`;
  });
  return html`<h3>Hardest for the best trials</h3><div class="scroll" tabindex="0" role="region" aria-label="Hardest examples"><table class="hardest"><thead><tr><th scope="col">Task</th><th scope="col">Example</th><th scope="col">Answer</th><th scope="col">Most say</th><th scope="col">Right</th><th scope="col">Agree</th></tr></thead><tbody>${rows}</tbody></table></div>`;
}

function percent(share: number): string {
  return Number.isNaN(share) ? "–" : `${(100 * share).toFixed(0)} %`;
}

const panel = html`<aside class="panel" id="panel" aria-live="polite" hidden>
<header><h2 id="panel-title"></h2><button type="button" id="panel-close" aria-label="Close">✕</button></header>
<p class="note" id="panel-note"></p>
<dl id="panel-scores" class="long"></dl><dl id="panel-facts"></dl>
<h3>Recipe <button type="button" id="recipe-copy">Copy</button> <output id="recipe-copied"></output></h3>
<pre id="recipe" tabindex="0"></pre>
<h3>Parameters</h3><dl id="panel-point" class="long"></dl></aside>`;
