import { byId } from "./dom.js";
import { axis, clipped, type Drawing, dots, type Option, plot, ring, tooltip, whichOf } from "./plot.js";
import type { View } from "./view.js";
import { trialTip } from "./words.js";

/** Small plots at most. */
const mostSlices = 12;

/** Trials in each at most: every so many from the best to the worst. */
const mostPoints = 3_000;

/** Pixels of one, and of what is around it. */
const [plotHeight, titleHeight, axisHeight, gap] = [150, 30, 26, 26];

/** The score against each of the parameters that matter most. */
export function drawSlices(view: View): void {
  plot("slices", view, (drawing) => optionOf(view, drawing));
}

function optionOf(view: View, { theme, width, isNarrow }: Drawing): Option {
  const { dimensions } = view.data;
  const { importance, values } = view.shown;
  const order = [...dimensions.keys()].toSorted((a, b) => (importance[b] ?? 0) - (importance[a] ?? 0));
  const shown = order.slice(0, mostSlices);
  const few = order.length > mostSlices ? ` The ${mostSlices} of ${order.length} parameters that matter most.` : "";
  const many =
    view.compared.length > mostPoints ? ` At most ${mostPoints} trials, evenly from the best to the worst.` : "";
  byId("slices-limit").textContent = `${few}${many}`;
  const columns = isNarrow ? 1 : width < 900 ? 2 : 3;
  const rows = Math.ceil(shown.length / columns);
  const step = plotHeight + titleHeight + axisHeight;
  byId("slices").style.setProperty("height", `${rows * step}px`);
  const left = 46;
  const each = (width - columns * (left + gap)) / columns + gap / columns;
  const places = shown.map((_, i) => ({
    x: (i % columns) * (each + left + gap) + left,
    y: Math.floor(i / columns) * step + titleHeight,
  }));
  const best = view.best.filter((which) => values[which] !== null);
  const every = Math.ceil(best.length / mostPoints);
  const drawn = best.filter((which, rank) => rank % every === 0 || which === view.selected);
  const size = drawn.length > 1000 ? 3 : drawn.length > 400 ? 4 : 6;
  return {
    title: shown.map((d, i) => ({
      ...{
        text: clipped(dimensions[d]?.name ?? "", Math.floor(each / 7)),
        left: places[i]?.x,
        top: (places[i]?.y ?? 0) - 24,
      },
      ...{ padding: 0, textStyle: { color: theme.ink, fontSize: 12, fontWeight: "normal" } },
    })),
    tooltip: tooltip(theme, ({ data }) => {
      const which = whichOf(data);
      return which === undefined ? undefined : trialTip(view.data, which, [view.score]);
    }),
    grid: places.map(({ x, y }) => ({ left: x, top: y, width: each, height: plotHeight })),
    xAxis: shown.map((d, gridIndex) => {
      const { kind, scale, low, high, choices } = dimensions[d] ?? {
        kind: "range",
        scale: "linear",
        low: 0,
        high: 1,
        choices: [],
      };
      const ends = low < high ? { min: low, max: high } : {};
      if (kind === "choice")
        return axis(theme, {
          gridIndex,
          type: "category",
          data: choices,
          axisLabel: { color: theme.soft, fontSize: 11, formatter: (text: string) => clipped(text, 14) },
        });
      return axis(theme, {
        gridIndex,
        type: scale === "log" ? "log" : "value",
        ...ends,
        splitNumber: 4,
        splitLine: { show: false },
      });
    }),
    yAxis: shown.map((_, gridIndex) => axis(theme, { gridIndex, splitNumber: 3 })),
    series: shown.flatMap((d, i) => {
      const data = drawn.flatMap((which) => {
        const value = dimensions[d]?.values[which];
        return value === null || value === undefined ? [] : [[value, values[which] ?? 0, which] as const];
      });
      const place = { xAxisIndex: i, yAxisIndex: i };
      const selected = data.filter(([, , which]) => which === view.selected);
      return [
        dots(
          `out ${i}`,
          data.filter(([, , which]) => !view.passes(which)),
          size,
          {
            ...{ ...place, itemStyle: { color: theme.soft, opacity: 0.12 } },
          },
        ),
        dots(
          `in ${i}`,
          data.filter(([, , which]) => view.passes(which)),
          size,
          {
            ...{ ...place, itemStyle: { color: theme.accent, opacity: 0.55 } },
          },
        ),
        { ...ring(`selected ${i}`, selected, 14, theme.ink), ...place },
      ];
    }),
  };
}
