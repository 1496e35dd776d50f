import { byId, colour, onColours, oncePerFrame, onResize, type PageElement } from "./dom.js";
import type { Change, View } from "./view.js";

export type Option = Readonly<Record<string, unknown>>;

export interface PlotEvent {
  readonly data?: unknown;
  readonly batch?: readonly PlotEvent[];
  readonly areas?: readonly { readonly coordRange: unknown }[];
  readonly parallelAxisId?: string;
  readonly intervals?: readonly (readonly [number, number])[];
}

/** What of ECharts the page uses. */
interface Chart {
  setOption(option: Option, how?: { readonly replaceMerge?: readonly string[] }): void;
  resize(): void;
  on(event: string, action: (event: PlotEvent) => void): void;
  dispatchAction(action: Option): void;
}

declare const echarts: {
  init(element: PageElement, theme: undefined, how: { readonly renderer: "canvas" }): Chart;
};

/** Colours of a plot, as the page has them now. */
export interface Theme {
  readonly ink: string;
  readonly soft: string;
  readonly line: string;
  readonly card: string;
  readonly accent: string;
  readonly best: string;
  readonly bad: string;
  readonly pale: string;
  readonly heat: string;
  readonly warm: string;
  readonly wrong: string;
  readonly page: string;
}

export interface Drawing {
  readonly theme: Theme;
  /** Of the plot, in CSS pixels. */
  readonly width: number;
  readonly isNarrow: boolean;
}

/** Draws a plot now and whenever what it shows changes. A click on a point selects its trial. */
export function plot(id: string, view: View, draw: (drawing: Drawing) => Option): Chart {
  const element = byId(id);
  const chart = echarts.init(element, undefined, { renderer: "canvas" });
  let change: Change = "all";
  const redraw = (): void => {
    const width = element.clientWidth;
    const option = draw({ theme: themeNow(), width, isNarrow: width < 520 });
    if (change === "selection") {
      chart.setOption({ series: (option["series"] as readonly Option[]).filter(isOfSelection) });
      return;
    }
    change = "selection";
    // What is drawn may have made the plot higher.
    chart.resize();
    chart.setOption({ animation: false, toolbox: { show: false }, ...option }, { replaceMerge: replaced });
  };
  redraw();
  const soon = oncePerFrame(redraw);
  const wholly = (): void => {
    change = "all";
    soon();
  };
  let width = element.clientWidth;
  view.onChange((what) => (what === "all" ? wholly() : soon()));
  onColours(wholly);
  onResize(element, () => {
    if (element.clientWidth === width) return;
    width = element.clientWidth;
    wholly();
  });
  chart.on("click", ({ data }) => {
    const which = whichOf(data);
    if (which !== undefined) view.select(which);
  });
  return chart;
}

const replaced = ["series", "grid", "xAxis", "yAxis"];

/** Series that show the selected trial have ids that say so; others do not change with it. */
function isOfSelection({ id }: Option): boolean {
  return String(id).startsWith("selected");
}

/** Points of trials. Many are drawn as one shape, which is faster and looks the same. */
export function dots(id: string, data: readonly unknown[], symbolSize: number, more: Option): Option {
  return { id, type: "scatter", data, symbolSize, large: true, largeThreshold: 1500, progressive: 0, ...more };
}

/** How large the points of so many trials are. */
export function dotSize(count: number): number {
  return count > 2000 ? 4 : count > 500 ? 6 : 8;
}

/** What is around the selected trial. */
export function ring(id: string, data: readonly unknown[], symbolSize: number, borderColor: string): Option {
  const itemStyle = { color: "transparent", borderColor, borderWidth: 2 };
  return dots(id, data, symbolSize, { silent: true, z: 5, itemStyle });
}

/** Lets trials be chosen by a rectangle that is dragged; `pass` says which are inside. */
export function rectangle(
  chart: Chart,
  view: View,
  name: string,
  pass: (x: readonly [number, number], y: readonly [number, number]) => (which: number) => boolean,
): void {
  const brushOption = { brushType: "rect", brushMode: "single" };
  chart.dispatchAction({ type: "takeGlobalCursor", key: "brush", brushOption });
  view.onClear(() => chart.dispatchAction({ type: "brush", areas: [] }));
  chart.on("brushEnd", ({ areas = [] }) => {
    const range = areas[0]?.coordRange as readonly [readonly [number, number], readonly [number, number]] | undefined;
    view.brush(name, range === undefined ? undefined : pass(range[0], range[1]));
  });
}

/** Of a brush that leaves colours to us. */
export function brushOf({ accent }: Theme): Option {
  return {
    ...{ xAxisIndex: 0, yAxisIndex: 0, brushLink: "none", throttleType: "debounce", throttleDelay: 50 },
    ...{ inBrush: { opacity: undefined }, outOfBrush: { colorAlpha: 1 } },
    brushStyle: { borderWidth: 1, color: "rgba(128,128,128,.12)", borderColor: accent },
  };
}

/** An axis as all plots have it. */
export function axis({ soft, line }: Theme, more: Option): Option {
  return {
    type: "value",
    scale: true,
    nameTextStyle: { color: soft, fontSize: 12 },
    axisLabel: { color: soft, fontSize: 11, hideOverlap: true },
    axisLine: { lineStyle: { color: line } },
    axisTick: { lineStyle: { color: line } },
    splitLine: { lineStyle: { color: line } },
    ...more,
  };
}

/** The box beside the pointer; `tip` makes what is in it. */
export function tooltip({ card, ink, line }: Theme, tip: (event: PlotEvent) => PageElement | undefined): Option {
  return {
    trigger: "item",
    confine: true,
    backgroundColor: card,
    borderColor: line,
    textStyle: { color: ink, fontSize: 12 },
    formatter: (event: PlotEvent) => tip(event) ?? "",
  };
}

/** The place of the trial that a point stands for: its third number, or its "which". */
export function whichOf(data: unknown): number | undefined {
  const which = Array.isArray(data) ? data[2] : (data as { readonly which?: unknown } | undefined)?.which;
  return typeof which === "number" && which >= 0 ? which : undefined;
}

/** A name as an axis has room for it. */
export function clipped(name: string, characters: number): string {
  return name.length > characters ? `${name.slice(0, characters - 1)}…` : name;
}

function themeNow(): Theme {
  return {
    ...{ ink: colour("ink"), soft: colour("soft"), line: colour("line"), card: colour("card") },
    ...{
      accent: colour("accent"),
      best: colour("best"),
      bad: colour("bad"),
      pale: colour("pale"),
      heat: colour("heat"),
      warm: colour("warm"),
      wrong: colour("wrong"),
      page: colour("page"),
    },
  };
}
