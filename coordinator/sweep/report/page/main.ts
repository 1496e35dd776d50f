import type { ReportData } from "../data.js";
import { drawAgainst } from "./against.js";
import { drawAgreement } from "./agreement.js";
import { byId, choose, hash, onHash, onKey, type PageElement, setHash } from "./dom.js";
import { drawImportance } from "./importance.js";
import { drawOverTrials } from "./over-trials.js";
import { drawPanel } from "./panel.js";
import { drawParallel } from "./parallel.js";
import { drawSlices } from "./slices.js";
import { drawTable } from "./table.js";
import { drawTimes } from "./times.js";
import { View } from "./view.js";

/** Brings the page to life. Everything that it shows is in the page. */
export function begin(): void {
  const view = new View(JSON.parse(byId("data").textContent ?? "") as ReportData);
  const { scores, trials } = view.data;
  view.selected = whichIn(view, hash());
  if (scores.length === 0) return;
  choose(
    "score",
    scores.map(({ name }) => name),
    view.score,
    (place) => view.show(place),
  );
  drawOverTrials(view);
  drawAgainst(view);
  if (view.data.dimensions.length > 0 && view.compared.length > 0) {
    drawParallel(view);
    drawImportance(view);
    drawSlices(view);
  } else {
    for (const id of ["parameters-section", "importance-section"]) byId(id).hidden = true;
  }
  drawAgreement(view);
  drawTimes(view);
  drawTable(view);
  drawPanel(view);
  view.onChange(() => {
    const number = view.selected === undefined ? "" : `trial=${trials.number[view.selected]}`;
    if (hash() !== number) setHash(number);
    byId("clear").hidden = !view.isFiltered;
  });
  onHash(() => view.select(whichIn(view, hash())));
  byId("clear").addEventListener("click", () => view.clearBrushes());
  onKey(({ key, target }) => {
    if (key === "Escape") view.select(undefined);
    const isPlot = (target as PageElement).className === "plot";
    const step = key === "ArrowRight" ? 1 : key === "ArrowLeft" ? -1 : 0;
    if (!isPlot || step === 0) return;
    const from = view.selected ?? (step > 0 ? -1 : trials.number.length);
    const next = from + step;
    if (next >= 0 && next < trials.number.length) view.select(next);
  });
}

/** The trial that the address of the page names. */
function whichIn({ data }: View, text: string): number | undefined {
  const number = /^trial=(\d+)$/.exec(text)?.[1];
  const which = number === undefined ? -1 : data.trials.number.indexOf(Number(number));
  return which < 0 ? undefined : which;
}
