/** Of the Okabe-Ito palette, which most eyes can tell apart; shapes and words say the same everywhere. */
const light = `
  --page: #f7f6f3; --card: #ffffff; --ink: #1d2126; --soft: #5c636c; --line: #dedad3; --faint: #efece6; --edge: #8f8b84;
  --accent: #0f766e; --done: #0f766e; --run: #0072b2; --twice: #995900; --bad: #b4362a; --wait: #7a4fa3; --pale: #b9dcd6;
  --shadow: 0 1px 2px rgb(0 0 0 / .06);
`;
const dark = `
  --page: #121518; --card: #1a1e22; --ink: #e8eaec; --soft: #9aa3ad; --line: #30373e; --faint: #23292f; --edge: #6b757f;
  --accent: #4fb8ab; --done: #3da195; --run: #56b4e9; --twice: #e69f00; --bad: #f08a78; --wait: #bf9be0; --pale: #28504b;
  --shadow: none;
`;

/** The page's style. Nothing is fetched; from a phone of 360 pixels to a wall of 3,840. */
export const pageStyle = `
:root { color-scheme: light; ${light} }
:root[data-theme=dark] { color-scheme: dark; ${dark} }
@media (prefers-color-scheme: dark) { :root:not([data-theme=light]) { color-scheme: dark; ${dark} } }
* { box-sizing: border-box; }
html { font-size: 16px; }
@media (min-width: 2200px) { html { font-size: 20px; } }
@media (min-width: 3200px) { html { font-size: 26px; } }
body { margin: 0; padding: 0 1.25rem 3rem; background: var(--page); color: var(--ink); font: .94rem/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
[hidden] { display: none !important; }
h1, h2, h3, p, dl, dd, ol { margin: 0; padding: 0; }
h1 { font-size: 1.15rem; font-weight: 650; letter-spacing: -.01em; white-space: nowrap; flex: none; }
h2 { font-size: 1.02rem; font-weight: 640; }
h3 { font-size: .98rem; font-weight: 640; }
bdi { unicode-bidi: isolate; }
a { color: var(--accent); }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip { position: absolute; left: -100rem; } .skip:focus { left: 1rem; top: .5rem; z-index: 9; background: var(--card); padding: .4rem .8rem; }
.soft, .note { color: var(--soft); } .note { font-size: .84rem; margin: .45rem 0 0; } .note:empty { display: none; }
.wrong { color: var(--bad); } .wrong:empty { display: none; }
select, button, input { font: inherit; font-size: .86rem; color: var(--ink); background: var(--card); border: 1px solid var(--edge); border-radius: 7px; padding: .28rem .6rem; max-width: 100%; min-width: 0; }
button { cursor: pointer; white-space: nowrap; } button:hover { border-color: var(--ink); }
button.strong { background: var(--accent); border-color: var(--accent); color: var(--card); font-weight: 600; }
button.plain { white-space: normal; border: 0; background: none; padding: 0; color: var(--accent); font-weight: 600; text-align: left; font-size: inherit; overflow-wrap: anywhere; }
button.small { padding: .1rem .5rem; font-size: .8rem; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }

.top { position: sticky; top: 0; z-index: 4; display: flex; flex-wrap: wrap; align-items: center; gap: .4rem 1rem; margin: 0 -1.25rem; padding: .6rem 1.25rem; background: var(--page); border-bottom: 1px solid var(--line); }
.brand { display: flex; align-items: center; gap: .6rem; flex: 1 1 auto; min-width: 0; }
.brand p { color: var(--soft); font-size: .86rem; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; min-width: 0; }
.brand img { width: 1.75rem; height: 1.75rem; }
.link { font-size: .86rem; display: flex; gap: .45rem; align-items: center; }
.link .mark { width: .65rem; height: .65rem; border-radius: 50%; background: var(--done); flex: none; }
.link[data-state=lost] { color: var(--bad); font-weight: 600; } .link[data-state=lost] .mark { background: none; border: 2px solid var(--bad); border-radius: 0; transform: rotate(45deg); }
.link[data-state=old] { color: var(--twice); font-weight: 600; } .link[data-state=old] .mark { background: none; border: 2px dashed var(--twice); }
.tools { display: flex; gap: .5rem; }
.banner { margin: 1rem 0 0; padding: .7rem 1rem; border-left: 4px solid var(--twice); background: var(--card); border-radius: 0 8px 8px 0; }

.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.2rem, 1fr)); gap: .7rem; margin: 1.1rem 0 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .6rem .8rem; min-width: 0; box-shadow: var(--shadow); }
.tile dt { color: var(--soft); font-size: .8rem; } .tile dd { font-size: 1.5rem; font-weight: 640; letter-spacing: -.015em; line-height: 1.25; white-space: nowrap; }
.tile dd small { display: block; font-size: .78rem; font-weight: 400; color: var(--soft); letter-spacing: 0; white-space: normal; min-height: 1.1rem; }
.tile[data-alarm=value], .tile[data-alarm=note] { border-color: var(--bad); } .tile[data-alarm=value] dd, .tile[data-alarm=note] dd small { color: var(--bad); } .tile[data-alarm=value] dd small { color: var(--soft); }

main { display: grid; gap: 1.6rem; margin-top: 1.5rem; }
.columns { display: grid; gap: 1.6rem 1.8rem; grid-template-columns: minmax(0, 1fr); align-items: start; }
@media (min-width: 1180px) { .columns { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); } }
@media (min-width: 2200px) { .columns { grid-template-columns: minmax(0, 1.2fr) minmax(0, 1fr) minmax(0, 1fr); } }
section { min-width: 0; }
.head { display: flex; flex-wrap: wrap; gap: .4rem 1rem; align-items: baseline; justify-content: space-between; margin-bottom: .5rem; }
section > h2 { margin-bottom: .6rem; }
.filters { display: flex; flex-wrap: wrap; gap: .4rem .8rem; } .filters label { color: var(--soft); font-size: .82rem; display: inline-flex; gap: .35rem; align-items: center; }
.filters input { width: 11rem; }

.cards { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; } .cards > .card { flex: 1 1 20rem; max-width: 100%; } .cards > .card:has(.units:not([hidden])) { flex: 3 1 34rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: .95rem 1.1rem 1rem; min-width: 0; box-shadow: var(--shadow); }
.card .head { margin: 0 0 .15rem; align-items: center; }
.card h3 { flex: 1 1 10rem; min-width: 0; }
.card h3 bdi { display: inline-block; max-width: 100%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; vertical-align: bottom; }
.where { color: var(--soft); font-size: .84rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.bar { height: .5rem; border-radius: 99px; background: var(--faint); overflow: hidden; margin: .7rem 0 .35rem; } .bar > div { height: 100%; width: var(--share, 0%); background: var(--accent); border-radius: 99px; }
.mini.bar { margin: .2rem 0 .1rem; height: .3rem; width: 6.5rem; max-width: 100%; }
.figures { display: flex; flex-wrap: wrap; gap: .25rem 1.15rem; margin: .4rem 0 .2rem; } .figures div { min-width: 0; } .figures dt { color: var(--soft); font-size: .76rem; } .figures dd { font-weight: 600; font-size: .98rem; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; max-width: 16rem; }
.spark { display: block; width: 100%; height: 2.4rem; margin-top: .6rem; overflow: visible; } .spark .area { fill: color-mix(in oklab, var(--run) 18%, transparent); } .spark .line { fill: none; stroke: var(--run); stroke-width: 1.6; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.course { margin: .1rem 0 0; font-size: .76rem; }
.because { margin: .5rem 0 0; padding: .45rem .7rem; border-left: 3px solid var(--wait); background: var(--faint); border-radius: 0 6px 6px 0; font-size: .88rem; white-space: pre-line; } .because.bad { border-color: var(--bad); }
.because b { font-weight: 600; }

.state { display: inline-flex; gap: .35rem; align-items: center; font-weight: 600; font-size: .86rem; white-space: nowrap; }
.state i { font-style: normal; display: inline-block; width: 1.1em; text-align: center; }
.state[data-state=running], .state[data-state=planning], .state[data-state=committing] { color: var(--run); } .state[data-state=done], .state[data-state=ready] { color: var(--done); }
.state[data-state=failed], .state[data-state=silent], .state[data-state=error] { color: var(--bad); } .state[data-state=waiting] { color: var(--wait); } .state[data-state=warning], .state[data-state=draining] { color: var(--twice); }
.state[data-state=queued], .state[data-state=canceled], .state[data-state=unknown], .state[data-state=info] { color: var(--soft); }

.units { margin-top: .8rem; }
.units .head { margin-bottom: .4rem; } .units h4 { margin: 0; font-size: .86rem; font-weight: 600; }
.choice { display: inline-flex; border: 1px solid var(--line); border-radius: 7px; overflow: hidden; margin: 0; padding: 0; } .choice label { font-size: .8rem; padding: .16rem .6rem; cursor: pointer; color: var(--soft); } .choice input { position: absolute; opacity: 0; pointer-events: none; } .choice label + label { border-left: 1px solid var(--line); }
.choice label:has(input:checked) { background: var(--accent); color: var(--card); font-weight: 600; } .choice label:has(input:focus-visible) { outline: 2px solid var(--accent); outline-offset: 2px; }
.strip { display: block; width: 100%; border-radius: 4px; cursor: crosshair; touch-action: pan-y; }
.legend { display: flex; flex-wrap: wrap; gap: .15rem .95rem; list-style: none; margin: .5rem 0 0; padding: 0; font-size: .8rem; color: var(--soft); } .legend li { display: inline-flex; gap: .35rem; align-items: center; min-width: 0; } .legend canvas { flex: none; } .legend b { color: var(--ink); font-weight: 600; }
.tip { position: fixed; z-index: 8; max-width: min(24rem, calc(100vw - 1.5rem)); background: var(--card); color: var(--ink); border: 1px solid var(--soft); border-radius: 8px; padding: .5rem .7rem; font-size: .84rem; box-shadow: 0 4px 18px rgb(0 0 0 / .2); pointer-events: none; } .tip b { font-weight: 640; } .tip p + p { margin-top: .15rem; }

.scroll { overflow-x: auto; } .rows { max-height: 34rem; overflow-y: auto; background: var(--card); border: 1px solid var(--line); border-radius: 10px; box-shadow: var(--shadow); }
@media (min-width: 2200px) { .rows { max-height: 44rem; } }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th { text-align: left; font-weight: 500; } thead th { position: sticky; top: 0; background: var(--card); color: var(--soft); font-size: .78rem; padding: .5rem .7rem .4rem; box-shadow: inset 0 -1px var(--line); z-index: 1; white-space: nowrap; }
tbody th { width: 100%; min-width: 9rem; } tbody td, tbody th { padding: .42rem .6rem; border-top: 1px solid var(--faint); vertical-align: top; max-width: 22rem; } tbody tr:first-child > * { border-top: 0; }
tbody small { display: block; color: var(--soft); font-size: .78rem; } tbody small.one { max-width: 0; min-width: 100%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.clip { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; max-width: 18rem; }
td .clip { max-width: 9rem; } tbody th > .clip { max-width: 0; min-width: 100%; } #nodes td .clip { max-width: 7.5rem; } .nowrap { white-space: nowrap; } .clip:empty { display: none; }
tbody small.reason { display: -webkit-box; margin-top: .15rem; -webkit-line-clamp: 4; -webkit-box-orient: vertical; overflow: hidden; } tbody small.advice { color: var(--ink); }
.empty { padding: 1.2rem; color: var(--soft); }
.feed { list-style: none; } .feed li { display: grid; grid-template-columns: 5.2rem minmax(0, 1fr); gap: .1rem .8rem; padding: .42rem .8rem; border-top: 1px solid var(--faint); font-size: .88rem; } .feed li:first-child { border-top: 0; }
.feed .meta { color: var(--soft); font-size: .78rem; } .feed time { color: var(--soft); font-size: .8rem; white-space: nowrap; } .feed p { white-space: pre-line; display: -webkit-box; -webkit-line-clamp: 6; -webkit-box-orient: vertical; overflow: hidden; }

.sweeps { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); max-height: 44rem; overflow-y: auto; }
.sweep .figures dd { max-width: 100%; } .plots { display: flex; gap: .9rem; margin-top: .5rem; flex-wrap: wrap; } .plots figure { margin: 0; flex: 1 1 8rem; min-width: 0; } .plots figcaption { color: var(--soft); font-size: .74rem; }
.plot { display: block; width: 100%; height: 5.2rem; overflow: visible; } .plot .line { fill: none; stroke: var(--accent); stroke-width: 2; vector-effect: non-scaling-stroke; } .plot .axis { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; fill: none; } .plot .other { stroke: var(--soft); opacity: .45; stroke-width: 4; stroke-linecap: round; vector-effect: non-scaling-stroke; } .plot .front { stroke: var(--accent); stroke-width: 7; stroke-linecap: round; vector-effect: non-scaling-stroke; }

dialog { color: var(--ink); background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.1rem 1.3rem; width: min(46rem, calc(100vw - 1.5rem)); max-height: calc(100dvh - 2rem); overflow: auto; } dialog::backdrop { background: rgb(0 0 0 / .45); }
#confirm, #door { width: min(30rem, calc(100vw - 1.5rem)); } dialog p { margin: .5rem 0; } dialog .feed p { margin: 0; } dialog h3 { margin: 1.1rem 0 .3rem; }
dialog > .head { position: sticky; top: -1.1rem; margin: -1.1rem -1.3rem .4rem; padding: .9rem 1.3rem .5rem; background: var(--card); align-items: center; flex-wrap: nowrap; }
.buttons { display: flex; gap: .6rem; justify-content: flex-end; margin-top: 1rem; } #door label { display: grid; gap: .3rem; color: var(--soft); font-size: .86rem; } #door input { font-size: 1rem; padding: .45rem .6rem; }
.facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .25rem 1rem; font-size: .9rem; } .facts dt { color: var(--soft); } pre { margin: 0; padding: .7rem .9rem; background: var(--faint); border-radius: 8px; overflow: auto; max-height: 26rem; font-size: .82rem; line-height: 1.5; overflow-wrap: normal; tab-size: 2; }
footer { margin-top: 2rem; color: var(--soft); font-size: .82rem; }
@media (max-width: 600px) {
  body { padding-inline: .8rem; } .top { margin-inline: -.8rem; padding-inline: .8rem; position: static; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .5rem; } .tile dd { font-size: 1.25rem; } .card { padding: .8rem .85rem; } .filters input { width: 9rem; }
  .feed li { grid-template-columns: minmax(0, 1fr); } .rows { max-height: 26rem; } button, select, input { min-height: 2.1rem; } button.plain, button.small { min-height: 0; } .choice label { padding: .35rem .7rem; }
  .filters { width: 100%; flex-wrap: nowrap; } .filters label:last-child, .filters input { flex: 1 1 auto; min-width: 0; width: 4rem; }
  tbody td, tbody th, thead th { padding-inline: .5rem; } .clip { max-width: 9rem; } #nodes td:nth-child(4) .clip { max-width: 7rem; }
}
@media (min-width: 1180px) and (max-width: 2199px) { #feed-section:has(+ [hidden]) { grid-column: 1 / -1; } }
@media (max-width: 420px) { #jobs :is(th, td):nth-child(4), #nodes :is(th, td):nth-child(4) { display: none; } tbody th { min-width: 7rem; } .mini.bar { width: 3.6rem; } td .clip, #nodes td .clip { max-width: 5.4rem; } #nodes td small.nowrap { white-space: normal; } td .nowrap { font-size: .82rem; } }
/* Without scripts there is nothing to show. */
@media (scripting: none) { main, .tiles, .link, .tools { display: none; } }
@media print { .top { position: static; } .tools, .filters, .choice, .skip, button.small { display: none !important; } .rows, .sweeps { max-height: none; overflow: visible; } .card, tr, .feed li { break-inside: avoid; } }
@media (prefers-reduced-motion: no-preference) { .bar > div { transition: width .4s; } }
@media (forced-colors: active) { .bar > div { background: Highlight; } .choice label:has(input:checked) { outline: 2px solid Highlight; } }
`;
