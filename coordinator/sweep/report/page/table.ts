import { byId, make, type PageElement } from "./dom.js";
import type { View } from "./view.js";
import { scoreText, shortNumber, valueText } from "./words.js";

/** Rows and columns of parameters at most. */
const mostRows = 100;
const mostParameters = 6;
const mostScores = 4;

interface Column {
  readonly title: string;
  /** What rows are sorted by; null comes last. */
  of(which: number): number | null;
  text(which: number): string;
}

/** The best trials that all brushes let through, sortable by every column. */
export function drawTable(view: View): void {
  let sorted: { readonly column: string; readonly isDown: boolean } | undefined;
  const draw = (): void => {
    const columns = columnsOf(view);
    const by = columns.find(({ title }) => title === sorted?.column);
    const passed = view.best.filter((which) => view.passes(which));
    const shown = by === undefined ? passed : passed.toSorted(order(by, sorted?.isDown ?? false));
    const heads = columns.map(({ title }) => {
      const direction = title === sorted?.column ? (sorted.isDown ? "descending" : "ascending") : "none";
      const button = make("button", { type: "button" }, title);
      button.addEventListener("click", () => {
        sorted = { column: title, isDown: title === sorted?.column ? !sorted.isDown : false };
        draw();
      });
      return make("th", { scope: "col", "aria-sort": direction }, button);
    });
    byId("table").replaceChildren(
      make("thead", {}, make("tr", {}, ...heads)),
      make("tbody", {}, ...shown.slice(0, mostRows).map((which) => row(view, columns, which))),
    );
    const { number, failed } = view.data.trials;
    const count = view.isFiltered ? `${view.passed} of ${number.length} trials are chosen. ` : "";
    const lost = failed.filter(Boolean).length;
    const cut = passed.length > mostRows ? `The first ${mostRows} of ${passed.length}. ` : "";
    byId("table-limit").textContent = `${count}${cut}${lost === 0 ? "" : `${lost} failed and are not ranked.`}`;
  };
  draw();
  view.onChange((change) => (change === "all" ? draw() : mark(view)));
}

/** Marks the row of the selected trial. */
function mark(view: View): void {
  for (const line of byId("table").querySelectorAll("tbody tr")) {
    if (line.getAttribute("data-which") === String(view.selected)) line.setAttribute("aria-selected", "true");
    else line.removeAttribute("aria-selected");
  }
}

function row(view: View, columns: readonly Column[], which: number): PageElement {
  const cells = columns.map(({ text }, i) => {
    if (i > 0) return make("td", {}, text(which));
    const button = make("button", { type: "button", "aria-label": `Trial ${text(which)}` }, text(which));
    return make("th", { scope: "row" }, button);
  });
  const line = make("tr", { "data-which": String(which) }, ...cells);
  if (which === view.selected) line.setAttribute("aria-selected", "true");
  line.addEventListener("click", () => view.select(which));
  return line;
}

function columnsOf(view: View): readonly Column[] {
  const { data } = view;
  const { trials, scores, dimensions, agents } = data;
  const shownScores = [view.score, ...scores.keys()].filter((s, i, all) => {
    return all.indexOf(s) === i && (s === view.score || scores[s]?.kind === "objective");
  });
  const { importance } = view.shown;
  const parameters = [...dimensions.keys()].toSorted((a, b) => (importance[b] ?? 0) - (importance[a] ?? 0));
  const isViolated = trials.violation.some((value) => (value ?? 0) > 0);
  return [
    column(
      "trial",
      (which) => trials.number[which] ?? null,
      (value) => String(value),
    ),
    ...shownScores
      .slice(0, mostScores)
      .map((s) => column(scores[s]?.name ?? "", (which) => scores[s]?.values[which] ?? null, scoreText)),
    ...(isViolated ? [column("violation", (which) => trials.violation[which] ?? null, scoreText)] : []),
    ...parameters.slice(0, mostParameters).map((d): Column => {
      const { name = "", values = [] } = dimensions[d] ?? {};
      return { title: name, of: (which) => values[which] ?? null, text: (which) => valueText(data, d, which) };
    }),
    column("seconds", (which) => trials.seconds[which] ?? null, shortNumber),
    {
      title: "agent",
      of: (which) => trials.agent[which] ?? null,
      text: (which) => agents[trials.agent[which] ?? -1]?.name ?? "–",
    },
  ];
}

function column(title: string, of: (which: number) => number | null, text: (value: number | null) => string): Column {
  return { title, of, text: (which) => text(of(which)) };
}

function order({ of }: Column, isDown: boolean) {
  return (a: number, b: number): number => {
    const [one, other] = [of(a), of(b)];
    if (one === null || other === null) return Number(one === null) - Number(other === null);
    return isDown ? other - one : one - other;
  };
}
