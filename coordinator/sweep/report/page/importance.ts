import { byId } from "./dom.js";
import { axis, clipped, type Drawing, type Option, plot } from "./plot.js";
import type { View } from "./view.js";

/** Parameters with a bar at most. */
const mostBars = 20;

/** How much of the differences in the score each parameter accounts for. */
export function drawImportance(view: View): void {
  plot("importance", view, (drawing) => optionOf(view, drawing));
}

function optionOf(view: View, { theme, isNarrow }: Drawing): Option {
  const { dimensions } = view.data;
  const { importance } = view.shown;
  const order = [...dimensions.keys()].toSorted((a, b) => (importance[b] ?? 0) - (importance[a] ?? 0));
  const bars = order.slice(0, mostBars).toReversed();
  byId("importance-limit").textContent =
    order.length > mostBars ? ` The first ${mostBars} of ${order.length} parameters.` : "";
  byId("importance").style.setProperty("height", `${Math.max(140, 50 + 22 * bars.length)}px`);
  return {
    grid: { left: 8, right: 44, top: 4, bottom: 8, containLabel: true },
    xAxis: axis(theme, { min: 0, axisLabel: { show: false }, splitLine: { show: false } }),
    yAxis: axis(theme, {
      type: "category",
      data: bars.map((d) => dimensions[d]?.name ?? ""),
      axisTick: { show: false },
      axisLabel: {
        color: theme.ink,
        fontSize: 12,
        interval: 0,
        formatter: (name: string) => clipped(name, isNarrow ? 20 : 32),
      },
    }),
    series: [
      {
        ...{ id: "bars", type: "bar", barMaxWidth: 14, data: bars.map((d) => importance[d] ?? 0) },
        itemStyle: { color: theme.accent, borderRadius: 2 },
        label: {
          ...{ show: true, position: "right", color: theme.soft, fontSize: 11 },
          formatter: ({ value }: { readonly value: number }) => `${(100 * value).toFixed(0)} %`,
        },
      },
    ],
  };
}
