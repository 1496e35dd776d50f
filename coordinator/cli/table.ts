import { printable } from "./printable.js";

/** Rows in aligned columns below their headings, each line with its end. Cells may hold anything. */
export function formatTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [headings, ...rows.map((row) => row.map(printable))];
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells
    .map((row) => {
      const line = row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
      return `${line.trimEnd()}\n`;
    })
    .join("");
}
