import { quoteList } from "../../shared/quote.js";
import { encodeNumber } from "../assemble/journal-records.js";
import { chooseModels } from "../evaluate/results/choose-models.js";
import { type Comparison, compareModels } from "../evaluate/results/compare.js";
import { decimalsFor, formatNumber, formatSigned, nothing } from "../evaluate/results/format.js";
import { printable } from "./printable.js";
import { formatTable } from "./table.js";
import type { Terminal } from "./terminal.js";

/** `amalgam compare`: how models differ on the examples that both answered, task by task. */
export async function compare(
  words: readonly string[],
  options: { readonly task?: string; readonly json: boolean },
  { stdout }: Terminal,
): Promise<number> {
  const models = await chooseModels(words);
  const comparisons = compareModels(models, { task: options.task });
  stdout.write(options.json ? `${JSON.stringify({ comparisons }, encodeNumbers)}\n` : format(comparisons));
  return 0;
}

function format(comparisons: readonly Comparison[]): string {
  const names = [...new Set(comparisons.map(({ models }) => models[1]))];
  const blocks = names.map((name) => {
    const rows = comparisons.filter(({ models }) => models[1] === name);
    return `a: ${printable(rows[0]?.models[0] ?? "")}\nb: ${printable(name)}\n${formatTable(headings, rows.map(row))}`;
  });
  const odd = comparisons.filter(({ isSameInput }) => !isSameInput).map(({ task }) => task);
  const note =
    odd.length === 0
      ? ""
      : `note: data, settings or tokenizer differ between the models: ${quoteList([...new Set(odd)])}\n`;
  return blocks.join("\n") + note;
}

const headings = ["task", "metric", "a", "b", "b - a", "95 % interval", "p", "b wins/loses/ties"];

function row(comparison: Comparison): readonly string[] {
  const { task, metric, higherIsBetter, a, b, difference, p, examples } = comparison;
  const decimals = decimalsFor([a, b]);
  const { low, high, value } = difference;
  const isKnown = !Number.isNaN(low);
  return [
    task,
    higherIsBetter ? metric : `${metric} (lower is better)`,
    formatNumber(a, decimals),
    formatNumber(b, decimals),
    formatSigned(value, decimals),
    isKnown ? `${formatSigned(low, decimals)} to ${formatSigned(high, decimals)}` : nothing,
    formatP(p),
    examples === undefined ? nothing : `${examples.wins}/${examples.losses}/${examples.ties}`,
  ];
}

function formatP(p: number): string {
  if (Number.isNaN(p)) return nothing;
  return p < 0.001 ? "<0.001" : p.toFixed(3);
}

function encodeNumbers(_: string, value: unknown): unknown {
  return typeof value === "number" ? encodeNumber(value) : value;
}
