import { byId, choose, hasFinePointer } from "./dom.js";
import { isWithin } from "./over-trials.js";
import {
  axis,
  brushOf,
  clipped,
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

/** Two scores against each other, and the trials that no other one beats in both. */
export function drawAgainst(view: View): void {
  const { scores } = view.data;
  const objectives = scores.flatMap(({ kind }, s) => (kind === "objective" ? [s] : []));
  const metrics = scores.flatMap(({ kind }, s) => (kind === "metric" ? [s] : []));
  const [first, second] =
    objectives.length > 1 ? objectives : metrics.length > 1 ? metrics : [...objectives, ...metrics];
  if (first === undefined || second === undefined) {
    byId("against-section").hidden = true;
    return;
  }
  const axes = { x: first, y: second };
  const names = scores.map(({ name }) => name);
  const chart = plot("against", view, (drawing) => optionOf(view, axes, drawing));
  const show = (change: Partial<typeof axes>): void => {
    Object.assign(axes, change);
    view.brush("against", undefined);
    chart.dispatchAction({ type: "brush", areas: [] });
    view.show(view.score);
  };
  choose("against-x", names, first, (x) => show({ x }));
  choose("against-y", names, second, (y) => show({ y }));
  if (!hasFinePointer()) return;
  rectangle(chart, view, "against", (x, y) => {
    const [across, up] = [scores[axes.x]?.values ?? [], scores[axes.y]?.values ?? []];
    return (which) => isWithin(across[which] ?? Number.NaN, x) && isWithin(up[which] ?? Number.NaN, y);
  });
}

function optionOf(
  view: View,
  { x, y }: { readonly x: number; readonly y: number },
  { theme, isNarrow }: Drawing,
): Option {
  const { scores, trials } = view.data;
  const [across, up] = [scores[x], scores[y]];
  const points = view.compared.flatMap((which) => {
    const [a, b] = [across?.values[which], up?.values[which]];
    return a === null || a === undefined || b === null || b === undefined ? [] : [[a, b, which] as const];
  });
  const front = frontOf(
    points.filter(([, , which]) => (trials.violation[which] ?? 0) === 0),
    across?.better,
    up?.better,
  );
  const inFront = new Set(view.data.front.length > 0 ? view.data.front : front.map(([, , which]) => which));
  const size = dotSize(points.length);
  const start = [across?.start, up?.start];
  const axisName = (score: typeof across): string => clipped(score?.name ?? "", isNarrow ? 30 : 48);
  return {
    brush: brushOf(theme),
    grid: { left: 12, right: 20, top: 30, bottom: 34, containLabel: true },
    tooltip: tooltip(theme, ({ data }) => {
      const which = whichOf(data);
      return which === undefined ? undefined : trialTip(view.data, which, [x, y]);
    }),
    xAxis: axis(theme, { name: axisName(across), nameLocation: "middle", nameGap: 24 }),
    yAxis: axis(theme, {
      name: axisName(up),
      nameLocation: "end",
      nameTextStyle: { color: theme.soft, align: "left" },
    }),
    series: [
      dots(
        "out",
        points.filter(([, , which]) => !view.passes(which)),
        size,
        { itemStyle: { color: theme.soft, opacity: 0.15 } },
      ),
      dots(
        "in",
        points.filter(([, , which]) => view.passes(which) && !inFront.has(which)),
        size,
        {
          itemStyle: { color: theme.accent, opacity: 0.55 },
        },
      ),
      {
        ...{
          id: "line",
          type: "line",
          silent: true,
          symbol: "none",
          step: across?.better === "lower" ? "end" : "start",
        },
        ...{ data: front.map(([a, b]) => [a, b]), lineStyle: { color: theme.best, width: 1.5, opacity: 0.8 } },
      },
      dots(
        "front",
        points.filter(([, , which]) => view.passes(which) && inFront.has(which)),
        size + 3,
        {
          itemStyle: { color: theme.best },
        },
      ),
      dots("start", start.includes(null) ? [] : [start], 14, {
        ...{ symbol: "diamond", silent: true, itemStyle: { color: theme.ink } },
        label: { show: true, formatter: "start", position: "right", color: theme.soft, fontSize: 11 },
      }),
      ring(
        "selected",
        points.filter(([, , which]) => which === view.selected),
        17,
        theme.ink,
      ),
    ],
  };
}

type Place = readonly [number, number, number];

/** From left to right; none where it is not known which way is better. */
function frontOf(
  points: readonly Place[],
  across: "higher" | "lower" | undefined,
  up: "higher" | "lower" | undefined,
): readonly Place[] {
  if (across === undefined || up === undefined) return [];
  const [signX, signY] = [across, up].map((better) => (better === "lower" ? 1 : -1)) as [number, number];
  const front: Place[] = [];
  let best = Number.POSITIVE_INFINITY;
  for (const point of points.toSorted((a, b) => signX * (a[0] - b[0]) || signY * (a[1] - b[1]))) {
    if (signY * point[1] >= best) continue;
    best = signY * point[1];
    front.push(point);
  }
  return front.toSorted((a, b) => a[0] - b[0]);
}
