import { basename } from "node:path";
import { formatCount } from "../../../shared/quote.js";
import { decimalsFor, formatNumber, formatSeconds, formatSigned, nothing } from "../../evaluate/results/format.js";
import { html, type Markup } from "../../evaluate/results/html/markup.js";
import type { Estimate } from "../../evaluate/types.js";
import { ranked } from "../rank.js";
import type { SweepFolder } from "./sweep-folder.js";

/** What a reader wants to know first. */
export function tiles({ trials, result, state }: SweepFolder): Markup {
  const failed = trials.filter(({ status }) => status === "failed").length;
  const top = ranked(trials)[0];
  const judged = result?.best.searched ?? top;
  const objectives = Object.entries(judged?.objectives ?? {});
  const best = objectives.map(([name, value]) => {
    const start = result?.start?.searched.objectives[name];
    const from = start === undefined ? "" : `start ${score(start)}, on searched examples`;
    return tile(
      `best ${name}`,
      score(value),
      objectives.length > 1 && result?.best.trial ? `trial ${result.best.trial}, ${from}` : from,
    );
  });
  const gains = (result?.gains ?? []).map(({ objective, gain, examples }) => {
    const where = `${result?.judgedOn === "held out" ? "held-out" : "searched"} examples`;
    const interval = Number.isNaN(gain.low)
      ? ""
      : `${formatSigned(gain.low, 3)} to ${formatSigned(gain.high, 3)}, 95 % `;
    return tile(`gain in ${objective}`, formatSigned(gain.value, 3), `${interval}on ${formatCount(examples)} ${where}`);
  });
  const examples = trials.reduce((sum, { fresh }) => sum + fresh, 0);
  return html`<dl class="tiles">${best}${gains}
${tile("trials", formatCount(trials.length), failed === 0 ? "none failed" : `${formatCount(failed)} failed`)}
${tile("examples run", formatCount(examples), "")}
${tile("time at work", formatSeconds(state.activeSeconds), "")}</dl>`;
}

function tile(name: string, value: string, note: string): Markup {
  return html`<div class="tile"><dt>${name}</dt><dd>${value}${note === "" ? undefined : html`<small>${note}</small>`}</dd></div>`;
}

function score(value: number | undefined): string {
  return formatNumber(value, decimalsFor([value ?? 0]));
}

export function warningsOf({ result, state }: SweepFolder, limits: readonly string[]): Markup | undefined {
  const unfinished = "this sweep is not over: it runs, or was interrupted; these are its trials so far";
  const all = [...(state.state === "done" ? [] : [unfinished]), ...(result?.warnings ?? []), ...limits];
  if (all.length === 0) return undefined;
  return html`<ul class="warnings">${all.map((text) => html`<li>${text.slice(0, 1).toUpperCase()}${text.slice(1)}.</li>`)}</ul>`;
}

/** The best merge beside the start, the base and the experts. */
export function comparison({ result }: SweepFolder): Markup | undefined {
  if (result === undefined) return undefined;
  const { best, start, references, gains, taskGains, judgedOn } = result;
  const judgements = [
    best.heldOut ?? best.searched,
    start && (start.heldOut ?? start.searched),
    ...references.map(({ judgement }) => judgement),
  ];
  const row = (name: string, values: readonly (number | undefined)[], gain: Estimate | undefined): Markup => {
    const decimals = decimalsFor(values.filter((value) => value !== undefined));
    const cells = values.map((value) => html`<td>${formatNumber(value, decimals)}</td>`);
    const interval =
      gain === undefined || Number.isNaN(gain.low)
        ? nothing
        : `${formatSigned(gain.low, decimals)} to ${formatSigned(gain.high, decimals)}`;
    return html`<tr><th scope="row">${name}</th>${cells}<td>${formatSigned(gain?.value, decimals)}</td><td>${interval}</td></tr>`;
  };
  const objectives = Object.keys(best.searched.objectives);
  const rows = [
    ...objectives.map((name) =>
      row(
        name,
        judgements.map((one) => one?.objectives[name]),
        gains.find(({ objective }) => objective === name)?.gain,
      ),
    ),
    ...taskGains
      .filter(({ task, metric }) => !objectives.includes(`${task} ${metric}`))
      .map(({ task, metric, difference }) =>
        row(
          `${task} ${metric}`,
          judgements.map((one) => one?.metrics[task]?.[metric]),
          difference,
        ),
      ),
  ];
  const names = ["best", "start", ...references.map(({ model }) => basename(model) || model), "gain", "95 % interval"];
  const heads = names.map((name) => html`<th scope="col" title="${name}">${name}</th>`);
  const where = judgedOn === "held out" ? "held-out examples" : "searched examples";
  return html`<div class="scroll" tabindex="0" role="region" aria-label="The best merge beside others"><table class="compare">
<thead><tr><th scope="col">On ${where}</th>${heads}</tr></thead><tbody>${rows}</tbody></table></div>`;
}
