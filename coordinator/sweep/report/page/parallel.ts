import type { ReportDimension } from "../data.js";
import { byId } from "./dom.js";
import { clipped, type Drawing, type Option, type PlotEvent, plot, type Theme } from "./plot.js";
import type { View } from "./view.js";

/** Axes that can be told apart on a wide page and on a phone, besides the score's. */
const mostAxes = 14;
const mostAxesOnPhone = 5;

/** Lines that can be told from a grey area, and those of them that stand out. */
const mostLines = 400;
const strongLines = 12;

/** A line for every trial over axes for the parameters that matter most and the score; pieces of axes can be brushed. */
export function drawParallel(view: View): void {
  const { dimensions } = view.data;
  const intervals = new Map<number, readonly (readonly [number, number])[]>();
  const shown = { axes: [] as readonly number[], score: view.score };
  const chart = plot("parallel", view, (drawing) => {
    const axes = axesOf(view, drawing.isNarrow);
    if (axes.join() !== shown.axes.join() || shown.score !== view.score) intervals.clear();
    Object.assign(shown, { axes, score: view.score });
    return optionOf(view, axes, drawing);
  });
  view.onClear(() => {
    for (const axis of intervals.keys()) {
      chart.dispatchAction({ type: "axisAreaSelect", parallelAxisId: `axis ${axis}`, intervals: [] });
    }
    intervals.clear();
  });
  chart.on("axisareaselected", (event) => {
    for (const { parallelAxisId = "", intervals: chosen = [] } of event.batch ?? ([event] as readonly PlotEvent[])) {
      const axis = Number(parallelAxisId.replace("axis ", ""));
      if (chosen.length === 0) intervals.delete(axis);
      else intervals.set(axis, chosen);
    }
    const tests = [...intervals].map(([axis, ranges]) => {
      const values = axis < 0 ? view.shown.values : (dimensions[axis]?.values ?? []);
      // Choices lie at whole numbers, and a brush that touches one means it.
      const slack = dimensions[axis]?.kind === "choice" ? 0.5 : 0;
      return (which: number): boolean => {
        const value = values[which];
        return (
          value !== null && value !== undefined && ranges.some(([a, b]) => value >= a - slack && value <= b + slack)
        );
      };
    });
    view.brush("parallel", tests.length === 0 ? undefined : (which) => tests.every((test) => test(which)));
  });
}

/** Places of the parameters that matter most for the score, as far as they have an axis, in the order of the sweep. */
function axesOf(view: View, isNarrow: boolean): readonly number[] {
  const { dimensions } = view.data;
  const most = isNarrow ? mostAxesOnPhone : mostAxes;
  const { importance } = view.shown;
  const all = [...dimensions.keys()];
  const kept = all.toSorted((a, b) => (importance[b] ?? 0) - (importance[a] ?? 0)).slice(0, most);
  const cut = all.length > most ? ` The ${most} of ${all.length} parameters that matter most.` : "";
  const few = view.compared.length > mostLines ? ` The best ${mostLines / 2} trials, and some of the others.` : "";
  byId("parallel-limit").textContent = `${cut}${few}`;
  return kept.toSorted((a, b) => a - b);
}

function optionOf(view: View, axes: readonly number[], { theme, width, isNarrow }: Drawing): Option {
  const { dimensions } = view.data;
  const { name, values } = view.shown;
  const best = view.best;
  const every = Math.ceil(best.length / (mostLines / 2));
  const lines = [...best.entries()].filter(([rank]) => rank < mostLines / 2 || rank % every === 0);
  const room = Math.max(6, Math.floor(width / (axes.length + 1) / 7));
  const valuesOf = (which: number) => [...axes.map((d) => dimensions[d]?.values[which] ?? null), values[which] ?? null];
  const data = lines.toReversed().map(([rank, which]) => {
    const isStrong = rank < strongLines;
    const color = isStrong ? theme.best : rank < best.length / 3 ? theme.accent : theme.pale;
    const opacity = view.passes(which) ? (isStrong ? 0.95 : 0.35) : 0.04;
    return { which, value: valuesOf(which), lineStyle: { color, width: isStrong ? 2 : 1, opacity } };
  });
  const { selected } = view;
  const chosen = selected === undefined ? [] : [{ which: selected, value: valuesOf(selected) }];
  return {
    parallel: { left: isNarrow ? 26 : 40, right: isNarrow ? 34 : 60, top: 46, bottom: 22 },
    parallelAxis: [
      ...axes.map((d, place) =>
        axisOf(theme, dimensions[d], { id: `axis ${d}`, dim: place, room, isStaggered: place % 2 === 1 }),
      ),
      axisOf(theme, undefined, { id: "axis -1", dim: axes.length, room, name, isStaggered: axes.length % 2 === 1 }),
    ],
    series: [
      { id: "lines", type: "parallel", smooth: false, inactiveOpacity: 0.04, activeOpacity: 1, data },
      { id: "selected", type: "parallel", z: 5, data: chosen, lineStyle: { color: theme.ink, width: 3, opacity: 1 } },
    ],
  };
}

function axisOf(
  { soft, line, accent, ink, page }: Theme,
  dimension: ReportDimension | undefined,
  {
    id,
    dim,
    room,
    name = dimension?.name ?? "",
    isStaggered,
  }: {
    readonly id: string;
    readonly dim: number;
    readonly room: number;
    readonly name?: string;
    readonly isStaggered: boolean;
  },
): Option {
  const common = {
    ...{ id, dim, name: clipped(name, 2 * room), nameLocation: "end", nameGap: isStaggered && room < 16 ? 26 : 10 },
    nameTextStyle: {
      color: dimension === undefined ? ink : soft,
      fontSize: 11,
      fontWeight: dimension === undefined ? "bold" : "normal",
    },
    ...{ axisLine: { lineStyle: { color: line } }, axisTick: { show: false } },
    axisLabel: {
      color: soft,
      fontSize: 10,
      textBorderColor: page,
      textBorderWidth: 3,
      formatter: (text: string | number) =>
        clipped(typeof text === "number" ? String(Number(text.toPrecision(3))) : text, room),
    },
    areaSelectStyle: { width: 18, borderColor: accent, color: accent, opacity: 0.25 },
  };
  if (dimension === undefined) return { ...common, type: "value", scale: true };
  if (dimension.kind === "choice") return { ...common, type: "category", data: dimension.choices };
  const { low, high, scale } = dimension;
  return low < high
    ? { ...common, type: scale === "log" ? "log" : "value", min: low, max: high }
    : { ...common, type: "value", scale: true };
}
