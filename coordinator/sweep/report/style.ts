/** What the page of a sweep has besides the style of an evaluation's. */
export const sweepStyle = `
:root { --pale: #c3c8cc; --warm: #c9963a; --wrong: #cf7660; }
@media (prefers-color-scheme: dark) { :root { --pale: #4c545c; --warm: #d9aa55; --wrong: #96493a; } }
body { max-width: 84rem; }
[hidden] { display: none !important; }
main > section, .pair > section { min-width: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 11.5rem), 1fr)); gap: .75rem; margin: 1.4rem 0 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .7rem .9rem; min-width: 0; }
.tile dt { color: var(--soft); font-size: .8rem; overflow-wrap: anywhere; }
.tile dd { margin: 0; font-size: 1.35rem; font-weight: 620; letter-spacing: -.01em; overflow-wrap: anywhere; }
.tile dd small { display: block; font-size: .78rem; font-weight: 400; color: var(--soft); letter-spacing: 0; }
.warnings { margin: 1.2rem 0 0; padding: .7rem 1rem .7rem 2rem; border-left: 3px solid var(--bad); background: var(--card); border-radius: 0 8px 8px 0; }
.warnings li { margin: .15rem 0; }
.compare { font-size: .9rem; margin-top: 1rem; }
.compare th, .compare td { padding: .35rem .9rem .35rem 0; border-top: 1px solid var(--line); white-space: nowrap; }
.compare th:first-child { white-space: normal; min-width: 8rem; }
.compare thead th { border: 0; text-align: right; max-width: 10rem; overflow: hidden; text-overflow: ellipsis; }
.compare thead th:first-child { text-align: left; }

.controls { position: sticky; top: 0; z-index: 3; display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin: 2rem -1.25rem -1.5rem; padding: .5rem 1.25rem; background: color-mix(in oklab, var(--page) 92%, transparent); border-bottom: 1px solid var(--line); }
.controls label, .choices label { color: var(--soft); font-size: .85rem; display: inline-flex; gap: .4rem; align-items: center; min-width: 0; max-width: 100%; }
select, button { font: inherit; font-size: .85rem; color: var(--ink); background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .25rem .55rem; max-width: 100%; min-width: 0; }
button { cursor: pointer; }
select:focus-visible, button:focus-visible, .plot:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.choices { display: flex; flex-wrap: wrap; gap: .4rem 1rem; margin-bottom: .4rem; }
.plot { width: 100%; height: 320px; border-radius: 4px; }
.plot.tall { height: 360px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 2rem; }
.tip { max-width: 17rem; white-space: normal; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.tip-title { font-weight: 620; }
.tip-note { opacity: .75; }

.rows { max-height: 34rem; overflow: auto; }
.trials { font-size: .86rem; }
.trials thead th { position: sticky; top: 0; background: var(--page); }
.trials th, .trials td { padding: .28rem .9rem .28rem 0; border-top: 1px solid var(--line); text-align: right; white-space: nowrap; max-width: 14rem; overflow: hidden; text-overflow: ellipsis; }
.trials thead th { border: 0; }
.trials tbody tr { cursor: pointer; }
.trials tbody tr:hover, .trials tr[aria-selected] { background: color-mix(in oklab, var(--accent) 12%, transparent); }
.trials button { border: 0; background: none; padding: 0; font-size: inherit; max-width: 11rem; overflow: hidden; text-overflow: ellipsis; }
.trials thead button { color: var(--soft); }
.trials tbody button { color: var(--accent); font-weight: 600; }
.trials [aria-sort=ascending] button::after { content: " ↑"; } .trials [aria-sort=descending] button::after { content: " ↓"; }
.hardest { min-width: 100%; font-size: .86rem; }
.hardest th, .hardest td { padding: .3rem .9rem .3rem 0; border-top: 1px solid var(--line); text-align: left; max-width: 18rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.hardest thead th { border: 0; }

.panel { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem 1rem; font-size: .88rem; overflow: auto; }
.panel header { display: flex; justify-content: space-between; align-items: center; gap: 1rem; }
.panel h2 { margin: 0; } .panel h3 { margin: 1rem 0 .3rem; display: flex; gap: .6rem; align-items: center; }
.panel h3 output { font-weight: 400; color: var(--soft); font-size: .8rem; }
.panel dl { margin: .3rem 0; }
.panel dl div { display: flex; justify-content: space-between; gap: 1rem; border-top: 1px solid var(--tick); padding: .12rem 0; }
.panel dt { color: var(--soft); overflow-wrap: anywhere; min-width: 0; } .panel dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
.panel pre { margin: 0; padding: .6rem .7rem; background: var(--page); border-radius: 6px; overflow: auto; font: 12px/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; max-height: 26rem; }
.panel .long { max-height: 14rem; overflow: auto; }
@media (min-width: 70rem) {
  .with-panel { display: grid; grid-template-columns: minmax(0, 1fr) 23rem; gap: 1.8rem; align-items: start; }
  .panel { position: sticky; top: 1rem; max-height: calc(100vh - 2rem); margin-top: 2rem; }
}
@media (max-width: 69.99rem) {
  .panel { position: fixed; left: 0; right: 0; bottom: 0; z-index: 5; max-height: 58vh; border-radius: 12px 12px 0 0; box-shadow: 0 -8px 30px rgba(0, 0, 0, .25); }
  .with-panel main { padding-bottom: 55vh; }
}
@media (max-width: 34rem) { .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .5rem; } .tile dd { font-size: 1.15rem; } .plot { height: 280px; } }
@media print { .controls, .panel { display: none; } }
`;
