import { formatBytes } from "../../shared/bytes.js";
import { formatCount, quote } from "../../shared/quote.js";
import type { DiffReport, TensorDiff } from "./diff.js";

/** A report for people: a line per tensor that is not equal, by name, and what it comes to. */
export function formatDiff({ a, b, tensors, totals }: DiffReport): string {
  const lines = tensors.filter(({ kind }) => kind !== "equal").map((diff) => `${quote(diff.name)}  ${describe(diff)}`);
  const facts = [
    [totals.equal, "equal"],
    [totals.different, "different"],
    [totals.incomparable, "not comparable"],
    [totals.onlyA, `only in ${quote(a)}`],
    [totals.onlyB, `only in ${quote(b)}`],
  ] as const;
  const counts = facts.filter(([count]) => count > 0).map(([count, what]) => `${formatCount(count)} ${what}`);
  const largest =
    totals.largest && `largest difference ${format(totals.largest.value)} in ${quote(totals.largest.tensor)}`;
  const nonFinite = totals.nonFinite === 0 ? undefined : `${formatCount(totals.nonFinite)} elements not finite`;
  const summary = [`${formatCount(totals.tensors)} tensors: ${counts.join(", ")}`, largest, nonFinite];
  return `${[...lines, summary.filter((part) => part !== undefined).join("; ")].join("\n")}\n`;
}

function describe(diff: TensorDiff): string {
  switch (diff.kind) {
    case "only-a":
    case "only-b":
      return `only in ${diff.kind === "only-a" ? "the first" : "the second"}: ${diff.dtype} ${shape(diff.shape)}`;
    case "shape":
      return `shapes differ: ${shape(diff.shapes[0])} and ${shape(diff.shapes[1])}`;
    case "dtype":
      return `dtypes differ: ${diff.dtypes[0]} and ${diff.dtypes[1]}`;
    case "equal":
      return "equal";
    case "bytes":
      return `${formatCount(diff.differing)} of ${formatBytes(diff.bytes)} differ, ${diff.dtype}`;
    case "numbers": {
      const cosine = diff.cosine === null ? "none" : diff.cosine.toFixed(6);
      const dtypes = diff.dtypes[0] === diff.dtypes[1] ? diff.dtypes[0] : diff.dtypes.join(" and ");
      const odd = diff.nonFinite === 0 ? "" : `, ${formatCount(diff.nonFinite)} not finite`;
      return `max ${format(diff.largest)}, rms ${format(diff.rms)}, cosine ${cosine}, ${dtypes}${odd}`;
    }
  }
}

function shape(dimensions: readonly number[]): string {
  return `[${dimensions.join(", ")}]`;
}

/** Three significant digits: enough to compare, short enough for a column. */
function format(value: number): string {
  return value === 0 ? "0" : value.toPrecision(3);
}
