/** What a benchmark found, ready to print. */
export interface Table {
  readonly title: string;
  /** How it was measured, where the columns do not say it. */
  readonly note?: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** As lines of text, or as Markdown. Every column but the first is flush right. */
export function formatTable({ title, note, columns, rows }: Table, markdown: boolean): string {
  const widths = columns.map((column, i) => Math.max(...[column, ...rows.map((row) => row[i] ?? "")].map(lengthOf)));
  const line = (cells: readonly string[]): string => {
    const padded = cells.map((cell, i) => {
      const space = " ".repeat(Math.max(0, (widths[i] ?? 0) - lengthOf(cell)));
      return i === 0 ? cell + space : space + cell;
    });
    return markdown ? `| ${padded.join(" | ")} |` : padded.join("  ").trimEnd();
  };
  const dashes = widths.map((width, i) => (i === 0 || !markdown ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [
    markdown ? `### ${title}\n` : title,
    ...(note === undefined ? [] : [markdown ? `${note}\n` : note]),
    line(columns),
    line(dashes),
    ...rows.map(line),
  ].join("\n");
}

function lengthOf(text: string): number {
  return [...text].length;
}

/** `1.5` → `"1.50 ×"` */
export function ratio(value: number): string {
  return `${digits(value)} ×`;
}

export function seconds(value: number): string {
  return `${digits(value)} s`;
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}

export function gigabytesPerSecond(bytesPerSecond: number): string {
  return `${digits(bytesPerSecond / 1e9)} GB/s`;
}

/** Three significant digits, and no more than two behind the point. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value >= 100) return value.toFixed(0);
  return value.toFixed(value >= 10 ? 1 : 2);
}

/** `"≤ 1.50 ×"` with what became of it. */
export function target(value: number, limit: number, unit: string, kind: "at most" | "at least" = "at most"): string {
  const met = kind === "at most" ? value <= limit : value >= limit;
  return `${kind === "at most" ? "≤" : "≥"} ${limit} ${unit} ${met ? "✓" : "✗"}`;
}
