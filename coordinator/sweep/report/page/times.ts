import { byId } from "./dom.js";
import { axis, clipped, type Drawing, type Option, plot } from "./plot.js";
import type { View } from "./view.js";

/** Where the time of an agent's trials goes, on average. */
export function drawTimes(view: View): void {
  if (view.data.agents.length === 0) {
    byId("times-section").hidden = true;
    return;
  }
  plot("times", view, (drawing) => optionOf(view, drawing));
}

function optionOf(view: View, { theme, isNarrow }: Drawing): Option {
  const { agents, timeParts } = view.data;
  byId("times").style.setProperty("height", `${90 + 24 * agents.length}px`);
  const colours = [theme.pale, theme.line, theme.soft, theme.accent, theme.warm, theme.heat];
  return {
    grid: { left: 8, right: 20, top: 34, bottom: 26, containLabel: true },
    legend: {
      top: 0,
      left: 0,
      itemHeight: 9,
      itemWidth: 12,
      selectedMode: false,
      textStyle: { color: theme.soft, fontSize: 11 },
    },
    tooltip: {
      ...{
        trigger: "axis",
        confine: true,
        axisPointer: { type: "shadow" },
        backgroundColor: theme.card,
        borderColor: theme.line,
      },
      ...{ textStyle: { color: theme.ink, fontSize: 12 }, renderMode: "richText" },
      valueFormatter: (seconds: number) => `${seconds.toFixed(3)} s`,
    },
    xAxis: axis(theme, { min: 0, name: "seconds", nameLocation: "middle", nameGap: 22 }),
    yAxis: axis(theme, {
      ...{ type: "category", inverse: true, axisTick: { show: false }, splitLine: { show: false } },
      data: agents.map(({ name, trials }) => `${clipped(name, isNarrow ? 14 : 30)} (${trials})`),
    }),
    series: timeParts.map((name, part) => ({
      ...{ id: name, name, type: "bar", stack: "time", barMaxWidth: 18 },
      ...{ data: agents.map(({ seconds }) => seconds[part] ?? 0), itemStyle: { color: colours[part] } },
    })),
  };
}
