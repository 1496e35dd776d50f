import type { SweepView } from "../types.js";
import { byId, draw, make, setText } from "./dom.js";
import type { PageElement } from "./dom-types.js";
import type { Page } from "./page.js";
import { figures, stateLabel, theirs } from "./pieces.js";
import { Rows } from "./rows.js";
import { oncePerFrame } from "./window.js";
import { ago, oneLine } from "./words.js";

const maxCards = 24;

/** Sweeps, the one that changed last first. */
export function drawSweeps(page: Page): void {
  const { sweeps } = page.store.contents;
  const rows = new Rows<SweepView>(byId("sweeps"), (sweep) => new SweepCard(page, sweep));
  const redraw = oncePerFrame(() => {
    byId("sweeps-section").hidden = page.store.server?.hasSweeps !== true;
    const sorted = [...sweeps.values()].sort((a, b) => (a.changedAt < b.changedAt ? 1 : -1));
    rows.show(sorted.slice(0, maxCards).map((sweep) => [sweep.name, sweep] as const));
    const more = sorted.length - maxCards;
    const none = sorted.length === 0 ? "There are no sweeps in the folders that were named." : "";
    setText(byId("sweeps-note"), more > 0 ? `${more} older ones are not shown; /api/state has them.` : none);
  });
  page.store.on(["sweeps", "server"], redraw);
  page.onTick(redraw);
  redraw();
}

class SweepCard {
  readonly element: PageElement;
  readonly #page: Page;
  readonly #state = stateLabel();
  readonly #note = make("p", { class: "where" });
  readonly #figures = figures();
  readonly #plots = make("div", { class: "plots" });
  #shown = "";

  constructor(page: Page, { name }: SweepView) {
    this.#page = page;
    const link = make("a", { href: `/sweeps/${encodeURIComponent(name)}` }, theirs(name));
    const head = make("div", { class: "head" }, make("h3", {}, link), this.#state.element);
    this.element = make(
      "article",
      { class: "card sweep", "data-sweep": name },
      ...[head, this.#note, this.#figures.element, this.#plots],
    );
  }

  update(sweep: SweepView): void {
    const { state, ended, file, trials, failed, maxTrials, best, objectives, problem, changedAt } = sweep;
    this.#state.show(
      problem !== undefined ? "failed" : state === "done" ? "done" : "running",
      problem !== undefined ? "cannot be read" : state === "done" ? "done" : "not over",
    );
    setText(
      this.#note,
      oneLine(problem ?? [file, ended, `changed ${ago(changedAt, this.#page.now)}`].filter(Boolean).join(" · "), 600),
    );
    const of = maxTrials === undefined ? "" : ` of ${maxTrials.toLocaleString("en")}`;
    const scores = objectives
      .slice(0, 4)
      .map((name, i) => [`best ${oneLine(name, 60)}`, score(best?.scores[i])] as const);
    this.#figures.show([
      ["trials", `${trials.toLocaleString("en")}${of}`],
      ...(failed > 0 ? [["failed", String(failed)] as const] : []),
      ...scores,
    ]);
    const now = JSON.stringify([sweep.bestSoFar, sweep.front]);
    if (now === this.#shown) return;
    this.#shown = now;
    this.#plots.replaceChildren(...plotsOf(sweep));
  }
}

function plotsOf({ bestSoFar, front, objectives }: SweepView): readonly PageElement[] {
  const plots: PageElement[] = [];
  if (bestSoFar.length > 1) {
    // A loss: less is better, and better is up.
    const scale = scaleOf(bestSoFar.map(([x, y]) => [x, -y] as const));
    const steps = bestSoFar.map(([x, y], i) => {
      const before = bestSoFar[i - 1];
      return `${before === undefined ? "M" : `L${scale(x, -before[1])} L`}${scale(x, -y)}`;
    });
    plots.push(figure("best so far, by trial", draw("path", { class: "line", d: steps.join(" ") })));
  }
  if (front !== undefined && front.front.length > 0) {
    const scale = scaleOf([...front.front, ...front.others]);
    const dots = (points: readonly (readonly [number, number])[]): string =>
      points.map(([x, y]) => `M${scale(x, y)} h0.01`).join(" ");
    const [a = "", b = ""] = objectives;
    plots.push(
      figure(
        `${oneLine(a, 40)} → against ${oneLine(b, 40)} ↑`,
        draw("path", { class: "other", d: dots(front.others) }),
        draw("path", { class: "front", d: dots(front.front) }),
      ),
    );
  }
  return plots;
}

/** From numbers to a box of 100 by 50 with a margin. */
function scaleOf(points: readonly (readonly [number, number])[]): (x: number, y: number) => string {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  return (x, y) => {
    const across = right > left ? (x - left) / (right - left) : 0.5;
    const up = high > low ? (y - low) / (high - low) : 0.5;
    return `${(3 + 94 * across).toFixed(2)} ${(47 - 44 * up).toFixed(2)}`;
  };
}

function figure(caption: string, ...shapes: readonly PageElement[]): PageElement {
  const axis = draw("path", { class: "axis", d: "M0 0V50H100" });
  const plot = draw(
    "svg",
    { class: "plot", viewBox: "0 0 100 50", preserveAspectRatio: "none", "aria-hidden": "true" },
    axis,
    ...shapes,
  );
  return make("figure", {}, plot, make("figcaption", { dir: "auto" }, caption));
}

function score(value: number | undefined): string {
  return value === undefined ? "–" : String(Number(value.toPrecision(4)));
}
