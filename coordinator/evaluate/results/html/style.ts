/** The page's style. Colours come in pairs, for light and dark; nothing is fetched. */
export const style = `
:root {
  color-scheme: light dark;
  --page: #fbfaf8; --card: #ffffff; --ink: #1d2126; --soft: #646b74; --line: #e4e1dc; --tick: #ece9e4;
  --accent: #0f766e; --heat: #2a9d8f; --single: #8a8f98; --best: #0b5d57; --good: #0f766e; --bad: #b4432f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --card: #1b1f23; --ink: #e7e9eb; --soft: #9aa2ab; --line: #2c3238; --tick: #272d32;
    --accent: #4fb8ab; --heat: #1f7a70; --single: #7b838c; --best: #7fe0d2; --good: #5cc7b9; --bad: #ee8a74;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 76rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: break-word;
}
h1 { font-size: 1.6rem; font-weight: 620; letter-spacing: -0.015em; line-height: 1.25; margin: 0 0 .35rem; }
h2 { font-size: 1.1rem; font-weight: 620; margin: 3rem 0 .5rem; }
h3 { font-size: .95rem; font-weight: 620; margin: 0 0 .75rem; }
h3 small { color: var(--soft); font-size: .8rem; font-weight: 400; margin-left: .35rem; }
p { margin: .25rem 0; }
.note, .lead { color: var(--soft); max-width: 46rem; }
.note { font-size: .85rem; margin-bottom: .9rem; }
.scroll { overflow-x: auto; margin: 0 -1.25rem; padding: 0 1.25rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.1rem .6rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
table { border-collapse: collapse; }
th { font-weight: 500; text-align: left; }
td { text-align: right; }
thead th { color: var(--soft); font-size: .82rem; vertical-align: bottom; }
thead small, td small { display: block; color: var(--soft); font-size: .75rem; font-weight: 400; }
.name { font-weight: 500; }
.tag { display: block; color: var(--soft); font-size: .72rem; white-space: nowrap; }
.best .name, .best .tag { color: var(--best); font-weight: 650; }
.base .name, .expert .name { font-weight: 400; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }

.heat { border-collapse: separate; border-spacing: 3px; margin-left: -3px; }
.heat td, .heat th { padding: .4rem .65rem; white-space: nowrap; }
.heat thead th { text-align: right; }
.heat thead th:first-child { text-align: left; }
.heat th:first-child { position: sticky; left: -1.25rem; background: var(--page); padding-left: .4rem; min-width: 8rem; max-width: 13rem; white-space: normal; line-height: 1.25; }
.heat td { border-radius: 4px; background: color-mix(in oklab, var(--heat) calc(var(--shade, 0%) * .45), var(--card)); }
.heat td.mean, .heat td.none { background: none; }
.heat td.own .value { text-decoration: underline; text-decoration-color: var(--soft); text-underline-offset: 3px; }
.half { color: var(--soft); font-size: .78rem; margin-left: .35rem; }
.heat td .half, .heat td small { color: color-mix(in oklab, var(--ink) 68%, transparent); }
.best .value, .best .mean { font-weight: 650; }

.strips { width: 100%; }
.strips th { width: 1%; min-width: 8.5rem; max-width: 13rem; padding: .25rem .8rem .25rem 0; line-height: 1.25; overflow-wrap: anywhere; }
.strips .plot { padding: 0; line-height: 0; }
.strips .figure { width: 1%; white-space: nowrap; padding-left: .8rem; font-size: .88rem; }
.strip { width: 100%; height: 1.9rem; display: block; overflow: visible; }
.axis { width: 100%; height: 1.2rem; overflow: visible; }
.axis text { font-size: 11px; fill: var(--soft); }
.tick { stroke: var(--tick); stroke-width: 1; }
.interval { stroke: var(--accent); stroke-width: 2.5; stroke-linecap: round; opacity: .45; }
.dot, .bar { fill: var(--accent); }
.base .interval, .expert .interval { stroke: var(--single); }
.base .dot, .expert .dot, .base .bar, .expert .bar { fill: var(--single); }
.best .dot, .best .bar { fill: var(--best); }
.best .figure { font-weight: 650; }

.matrix { border-collapse: separate; border-spacing: 2px; font-size: .82rem; }
.matrix td { padding: .3rem .5rem; border-radius: 3px; min-width: 3.2rem; background: color-mix(in oklab, var(--heat) calc(var(--shade, 0%) * .45), var(--card)); }
.matrix th { padding: .3rem .6rem .3rem 0; min-width: 7rem; max-width: 13rem; }
.matrix thead th + th { min-width: 0; text-align: right; padding: .3rem .5rem; }
abbr { text-decoration: none; }

.examples { list-style: none; padding: 0; margin: 0; }
.examples li { border-top: 1px solid var(--line); padding: .8rem 0; }
.examples .which { color: var(--soft); font-size: .82rem; margin: 0 0 .3rem; }
.said { width: 100%; table-layout: fixed; }
.said td { text-align: left; vertical-align: top; padding: .12rem 0; overflow-wrap: anywhere; }
.said .mark { width: 3.6rem; }
.said .who { width: 42%; }
.said td:last-child { color: var(--soft); font-size: .82rem; padding-left: 1rem; }
.text { white-space: pre-wrap; }
.good { color: var(--good); } .bad { color: var(--bad); }

.runs { width: 100%; font-size: .88rem; }
.runs th, .runs td { text-align: left; padding: .45rem .9rem .45rem 0; border-top: 1px solid var(--line); vertical-align: top; }
.runs thead th { border: 0; }
.runs td.seconds, .runs th.seconds { text-align: right; padding-right: 0; white-space: nowrap; }
@media (max-width: 34rem) {
  body { padding-top: 1.5rem; }
  .strips th { min-width: 6rem; max-width: 7rem; font-size: .85rem; }
  .said .mark { width: 2.6rem; }
  .axis text:nth-child(even) { display: none; }
}
@media print { body { max-width: none; } .card { break-inside: avoid; } }
`;
