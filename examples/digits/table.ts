/** How one model does: its accuracy on each task, from 0 to 1. */
export interface Row {
  readonly kind: "base" | "expert" | "merge";
  /** An expert is called by its task. */
  readonly name: string;
  readonly accuracies: readonly number[];
}

/** What every model scores on every task. */
export class ResultTable {
  readonly #tasks: readonly string[];
  readonly #rows: readonly Row[];

  constructor(tasks: readonly string[], rows: readonly Row[]) {
    this.#tasks = tasks;
    this.#rows = rows;
  }

  /** The merge with the highest average. */
  get best(): Row | undefined {
    return this.#rows.filter(({ kind }) => kind === "merge").toSorted((a, b) => average(b) - average(a))[0];
  }

  /** For a terminal. The best merge and each expert's own task stand out where there are colours. */
  toText({ colors }: { readonly colors: boolean }): string {
    const columns = [...this.#tasks, "average"];
    const nameWidth = Math.max(...this.#rows.map((row) => title(row).length));
    const line = (name: string, cells: readonly string[], paintCell = (cell: string, _: number) => cell): string => {
      const padded = cells.map((cell, i) => cell.padStart(Math.max(columns[i]?.length ?? 0, "100.0".length) + 2));
      return `  ${name.padEnd(nameWidth)}${padded.map(paintCell).join("")}`;
    };
    const paint = (style: Style, text: string): string => (colors ? inStyle(style, text) : text);
    const lines = this.#rows.map((row) => {
      if (row === this.best) return paint("boldGreen", `${line(title(row), figures(row))}  best merge`);
      return line(title(row), figures(row), (cell, i) => (this.#isOwnTask(row, i) ? paint("bold", cell) : cell));
    });
    return [paint("dim", line("", columns)), ...lines].join("\n");
  }

  /** For a README. */
  toMarkdown(): string {
    const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
    const lines = this.#rows.map((row) => {
      const cells = figures(row).map((figure, i) => (this.#isOwnTask(row, i) ? `**${figure}**` : figure));
      return line(
        row === this.best ? [title(row), ...figures(row)].map((cell) => `**${cell}**`) : [title(row), ...cells],
      );
    });
    const rule = ["---", ...this.#tasks.map(() => "--:"), "--:"];
    return [line(["", ...this.#tasks, "average"]), line(rule), ...lines].join("\n");
  }

  #isOwnTask({ kind, name }: Row, column: number): boolean {
    return kind === "expert" && this.#tasks[column] === name;
  }
}

/** The escape codes that begin and end a style. */
const styles = { bold: ["1", "22"], dim: ["2", "22"], boldGreen: ["1;32", "22;39"] } as const;

type Style = keyof typeof styles;

function inStyle(style: Style, text: string): string {
  const [begin, end] = styles[style];
  return `\u001b[${begin}m${text}\u001b[${end}m`;
}

function title({ kind, name }: Row): string {
  return kind === "base" ? name : `${kind} ${name}`;
}

function average({ accuracies }: Row): number {
  return accuracies.reduce((sum, accuracy) => sum + accuracy, 0) / accuracies.length;
}

/** Percentages, the average last. */
function figures(row: Row): readonly string[] {
  return [...row.accuracies, average(row)].map((accuracy) => (100 * accuracy).toFixed(1));
}
