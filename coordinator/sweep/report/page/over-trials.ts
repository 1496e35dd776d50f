import { hasFinePointer } from "./dom.js";
import {
  axis,
  brushOf,
  type Drawing,
  dotSize,
  dots,
  type Option,
  plot,
  rectangle,
  ring,
  tooltip,
  whichOf,
} from "./plot.js";
import type { View } from "./view.js";
import { trialTip } from "./words.js";

/** Scores in the order of trials, and the best so far. */
export function drawOverTrials(view: View): void {
  const { trials } = view.data;
  const chart = plot("over-trials", view, (drawing) => optionOf(view, drawing));
  if (!hasFinePointer()) return;
  rectangle(chart, view, "over trials", (x, y) => {
    const { values } = view.shown;
    return (which) => {
      const [number, value] = [trials.number[which] ?? 0, values[which]];
      return isWithin(number, x) && value !== null && value !== undefined && isWithin(value, y);
    };
  });
}

function optionOf(view: View, { theme, isNarrow }: Drawing): Option {
  const { trials, best } = view.data;
  const { name, values, start, better } = view.shown;
  const points = trials.number.flatMap((number, which) => {
    const value = values[which];
    return value === null || value === undefined ? [] : [[number, value, which] as const];
  });
  const isOut = (which: number): boolean => !view.passes(which);
  const compared = points.filter(([, , which]) => trials.comparable[which] === true);
  const lower = points.filter(([, , which]) => trials.comparable[which] !== true);
  const failed = trials.number.flatMap((number, which) =>
    trials.failed[which] === true ? [[number, 0.02, which]] : [],
  );
  const size = dotSize(points.length);
  const startLine = start === null ? {} : { markLine: startMark(start, theme) };
  return {
    brush: brushOf(theme),
    grid: { left: 12, right: isNarrow ? 14 : 24, top: 34, bottom: 34, containLabel: true },
    legend: {
      ...{ top: 0, right: 0, itemHeight: 9, itemWidth: 14, textStyle: { color: theme.soft, fontSize: 11 } },
      selectedMode: false,
      data: [
        "trial",
        "best so far",
        ...(lower.length > 0 ? ["fewer examples"] : []),
        ...(failed.length > 0 ? ["failed"] : []),
      ],
    },
    tooltip: tooltip(theme, ({ data }) => {
      const which = whichOf(data);
      return which === undefined ? undefined : trialTip(view.data, which, [view.score]);
    }),
    xAxis: axis(theme, {
      name: "trial",
      nameLocation: "middle",
      nameGap: 24,
      minInterval: 1,
      splitLine: { show: false },
    }),
    yAxis: [
      axis(theme, {
        name: isNarrow ? "" : name,
        nameLocation: "end",
        nameTextStyle: { color: theme.soft, align: "left" },
      }),
      { type: "value", min: 0, max: 1, show: false },
    ],
    series: [
      dots(
        "out",
        compared.filter(([, , which]) => isOut(which)),
        size,
        { itemStyle: { color: theme.soft, opacity: 0.15 } },
      ),
      dots("lower", lower, size, { name: "fewer examples", itemStyle: { color: theme.pale, opacity: 0.8 } }),
      dots(
        "trials",
        compared.filter(([, , which]) => !isOut(which)),
        size,
        {
          ...{ name: "trial", itemStyle: { color: theme.accent, opacity: 0.75 }, ...startLine },
        },
      ),
      {
        ...{ id: "best", name: "best so far", type: "line", step: "end", showSymbol: false, silent: true, z: 1 },
        data: bestSoFar(compared, trials.violation, better),
        lineStyle: { color: theme.best, width: 2 },
        itemStyle: { color: theme.best },
      },
      dots("failed", failed, 9, { name: "failed", yAxisIndex: 1, symbol: cross, itemStyle: { color: theme.bad } }),
      ring(
        "top",
        points.filter(([, , which]) => which === best),
        13,
        theme.best,
      ),
      ring(
        "selected",
        points.filter(([, , which]) => which === view.selected),
        17,
        theme.ink,
      ),
    ],
  };
}

const cross = "path://M0,1L1,0L5,4L9,0L10,1L6,5L10,9L9,10L5,6L1,10L0,9L4,5Z";

function startMark(start: number, { soft }: Drawing["theme"]): Option {
  return {
    ...{ silent: true, symbol: "none", data: [{ yAxis: start }] },
    lineStyle: { color: soft, type: "dashed", width: 1 },
    label: { formatter: "start", color: soft, position: "insideStartTop", fontSize: 11 },
  };
}

/** Of the trials that meet the constraints and can be compared. */
function bestSoFar(
  points: readonly (readonly [number, number, number])[],
  violation: readonly (number | null)[],
  better: "higher" | "lower" | undefined,
): readonly (readonly [number, number])[] {
  const sign = better === "lower" ? 1 : -1;
  const line: (readonly [number, number])[] = [];
  let best = Number.POSITIVE_INFINITY;
  for (const [number, value, which] of points) {
    if ((violation[which] ?? 0) > 0) continue;
    if (sign * value < best) best = sign * value;
    line.push([number, sign * best]);
  }
  return line;
}

export function isWithin(value: number, [low, high]: readonly [number, number]): boolean {
  return value >= low && value <= high;
}
