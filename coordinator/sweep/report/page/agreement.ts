import { byId, choose, make } from "./dom.js";
import { axis, clipped, type Drawing, type Option, plot, tooltip } from "./plot.js";
import type { View } from "./view.js";
import { scoreText } from "./words.js";

/** Models against examples: who is right about what, and where the best trials agree with one another. */
export function drawAgreement(view: View): void {
  const { agreements } = view.data;
  if (agreements.length === 0) {
    byId("agreement-section").hidden = true;
    return;
  }
  let shown = agreements.length - 1;
  plot("agreement", view, (drawing) => optionOf(view, shown, drawing));
  choose(
    "agreement-of",
    agreements.map(({ title }) => title),
    shown,
    (place) => {
      shown = place;
      view.show(view.score);
    },
  );
}

function optionOf(view: View, shown: number, { theme, isNarrow }: Drawing): Option {
  const { rows, columns, scores, predictions, words, note } = view.data.agreements[shown] ?? nothingAsked;
  byId("agreement-limit").textContent = note === "" ? "" : ` ${note}`;
  const height = Math.max(12, Math.min(22, 460 / rows.length));
  byId("agreement").style.setProperty("height", `${70 + rows.length * height}px`);
  const cells = scores.flatMap((row, y) =>
    row.flatMap((score, x) => (score === null ? [] : [{ value: [x, y, score], which: rows[y]?.which ?? -1 }])),
  );
  return {
    grid: { left: 8, right: 14, top: 6, bottom: 40, containLabel: true },
    visualMap: {
      ...{
        min: 0,
        max: 1,
        calculable: false,
        orient: "horizontal",
        left: "center",
        bottom: 0,
        itemHeight: 120,
        itemWidth: 10,
      },
      ...{ text: ["right, or agree", "wrong, or disagree"], textStyle: { color: theme.soft, fontSize: 11 } },
      inRange: { color: [theme.wrong, theme.line, theme.heat] },
    },
    tooltip: tooltip(theme, ({ data }) => {
      const { value } = data as { readonly value: readonly [number, number, number] };
      const [x, y, score] = value;
      const column = columns[x];
      const said = words[predictions[y]?.[x] ?? -1];
      return make(
        "div",
        { class: "tip" },
        make("div", { class: "tip-title" }, `${rows[y]?.name}: ${scoreText(score)}`),
        make("div", {}, `${column?.task} · ${column?.id}`),
        ...(said === undefined || said === "" ? [] : [make("div", {}, `said ${said}`)]),
        ...(column?.answer ? [make("div", {}, `answer ${column.answer}`)] : []),
      );
    }),
    xAxis: axis(theme, { type: "category", data: columns.map((_, i) => String(i)), show: false }),
    yAxis: axis(theme, {
      ...{ type: "category", inverse: true, data: rows.map((_, i) => String(i)), axisTick: { show: false } },
      axisLabel: {
        color: theme.soft,
        fontSize: 11,
        interval: 0,
        formatter: (i: string) => clipped(rows[Number(i)]?.name ?? "", isNarrow ? 14 : 28),
      },
      splitLine: { show: false },
    }),
    series: [
      {
        id: "cells",
        type: "heatmap",
        data: cells,
        progressive: 0,
        itemStyle: { borderColor: theme.card, borderWidth: columns.length > 120 || isNarrow ? 0 : 0.5 },
      },
    ],
  };
}

const nothingAsked = { rows: [], columns: [], scores: [], predictions: [], words: [], note: "" };
