import { columnDecimals, formatEstimate, formatNumber } from "./format.js";
import type { ModelSummary, Summary } from "./summary.js";

/** A table of text. The first column names models, the others hold numbers. */
export interface Grid {
  readonly headings: readonly (readonly [title: string, below: string])[];
  readonly rows: readonly {
    readonly cells: readonly string[];
    readonly isBestMerge: boolean;
    /** Which cells are an expert's on its own task. */
    readonly own: readonly boolean[];
  }[];
}

/** Models by tasks, then what they come to; only the averages that some model has. */
export function gridOf(summary: Summary): Grid {
  const decimals = columnDecimals(summary);
  const { tasks, models, bestMerge } = summary;
  const averages = averageColumns.filter(({ of }) => models.some((model) => of(model) !== undefined));
  return {
    headings: [
      ["", ""],
      ...tasks.map(({ name, metric, higherIsBetter }) => [name, higherIsBetter ? metric : `${metric} ↓`] as const),
      ...averages.map(({ heading }) => heading),
    ],
    rows: models.map((model) => ({
      cells: [
        model.role === "model" ? model.name : `${model.role} ${model.name}`,
        ...model.cells.map((cell, i) => formatEstimate(cell?.estimate, decimals[i] ?? 0)),
        ...averages.map(({ of }) => formatNumber(of(model), 3)),
      ],
      isBestMerge: model.name === bestMerge && model.role === "model",
      own: [false, ...tasks.map(({ expert }) => expert === model.name)],
    })),
  };
}

interface Average {
  readonly heading: readonly [string, string];
  of(model: ModelSummary): number | undefined;
}

const averageColumns: readonly Average[] = [
  { heading: ["mean", "raw"], of: (model) => model.meanRaw },
  { heading: ["mean", "of expert"], of: (model) => model.meanNormalized },
  { heading: ["worst", "ratio"], of: (model) => model.worst?.ratio },
  { heading: ["lost", "to base"], of: (model) => model.meanForgotten },
  { heading: ["vs best", "single"], of: (model) => model.gapToBestSingle },
];

/** For a README; the best merge and each expert's own task are bold. */
export function toMarkdown(summary: Summary): string {
  const { headings, rows } = gridOf(summary);
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |\n`;
  const titles = headings.map(([title, below]) => [title, below].filter(Boolean).map(escapeMarkdown).join("<br>"));
  const body = rows.map(({ cells, isBestMerge, own }) =>
    line(cells.map(escapeMarkdown).map((cell, i) => (isBestMerge || own[i] === true ? `**${cell}**` : cell))),
  );
  return [line(titles), line(["---", ...headings.slice(1).map(() => "--:")]), ...body].join("");
}

function escapeMarkdown(text: string): string {
  return text.replace(/\p{C}|\p{Zl}|\p{Zp}/gu, " ").replace(/[\\|*_`<>[\]&]/g, "\\$&");
}
