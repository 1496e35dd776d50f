import type { Summary } from "../evaluate/results/summary.js";
import { type Grid, gridOf } from "../evaluate/results/table.js";
import { printable } from "./printable.js";

export interface TableStyle {
  /** Whether escape codes may be used. */
  readonly colors: boolean;
  /** Characters of a line; the table goes on below itself where it is wider. */
  readonly width: number;
}

const gap = "  ";
const longestName = 32;

/**
 * The table for a terminal: value and half its interval, the best merge marked by `*` (and green), each expert's own task
 * bold. Each line has its end.
 */
export function toText(summary: Summary, { colors, width }: TableStyle): string {
  const paint = colors ? inStyle : (_: Style, text: string): string => text;
  const grid = shown(gridOf(summary));
  const names = grid.rows.map(({ cells }) => cells[0] ?? "");
  const nameWidth = Math.max(0, ...names.map((name) => name.length));
  const widths = grid.headings.map((heading, column) =>
    Math.max(...heading.map((text) => text.length), ...grid.rows.map(({ cells }) => cells[column]?.length ?? 0)),
  );
  const blocks = columnBlocks(widths.slice(1), width - nameWidth - "* ".length).map((columns) => {
    const line = (name: string, cellOf: (column: number) => string): string =>
      `${name.padEnd(nameWidth)}${columns.map((column) => gap + cellOf(column)).join("")}`;
    const heads = ([0, 1] as const).map((part) => {
      const text = line("", (column) => (grid.headings[column]?.[part] ?? "").padStart(widths[column] ?? 0));
      return paint("dim", `  ${text}`.trimEnd());
    });
    const body = grid.rows.map(({ cells, own, isBestMerge }) => {
      const text = line(cells[0] ?? "", (column) => {
        const cell = (cells[column] ?? "").padStart(widths[column] ?? 0);
        return own[column] === true && !isBestMerge ? paint("bold", cell) : cell;
      });
      return isBestMerge ? paint("boldGreen", `* ${text}`) : `  ${text}`;
    });
    return [...heads, ...body].map((text) => `${text}\n`).join("");
  });
  const best = grid.rows.some((row) => row.isBestMerge) ? "* best merge; " : "";
  const legend = `${paint("dim", `${best}± half the 95 % interval`)}\n`;
  return blocks.join("\n") + legend;
}

/** Names from outside as one line that no terminal acts on, none so long that it pushes numbers off the screen. */
function shown({ headings, rows }: Grid): Grid {
  const safe = (text: string): string => {
    const plain = printable(text);
    return plain.length > longestName ? `${plain.slice(0, longestName - 1)}…` : plain;
  };
  return {
    headings: headings.map(([title, below]) => [safe(title), safe(below)] as const),
    rows: rows.map((row) => ({ ...row, cells: row.cells.map(safe) })),
  };
}

/** Column numbers, from 1, in blocks that each fit the room; a column that is wider alone has a block of its own. */
function columnBlocks(widths: readonly number[], room: number): readonly (readonly number[])[] {
  const blocks: number[][] = [[]];
  let used = 0;
  for (const [i, width] of widths.entries()) {
    const needed = gap.length + width;
    if (used > 0 && used + needed > room) {
      blocks.push([]);
      used = 0;
    }
    blocks.at(-1)?.push(i + 1);
    used += needed;
  }
  return blocks;
}

/** The escape codes that begin and end a style. */
const styles = { bold: ["1", "22"], dim: ["2", "22"], boldGreen: ["1;32", "22;39"] } as const;

type Style = keyof typeof styles;

function inStyle(style: Style, text: string): string {
  const [begin, end] = styles[style];
  return `\u001b[${begin}m${text}\u001b[${end}m`;
}
