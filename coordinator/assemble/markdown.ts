// Text from outside, in Markdown that stays as it was meant.

/** So that it stays text: not a link, not a table's border, not HTML. */
export function escapeText(text: string): string {
  return text.replace(/\p{C}|\s/gu, " ").replace(/[\\`*_{}[\]()<>#|~]/g, (mark) => `\\${mark}`);
}

/** Between as many backticks as it takes. */
export function code(text: string): string {
  const plain = text.replace(/\p{C}|\s/gu, " ").replaceAll("|", "\\|");
  const ticks = "`".repeat(longestRun(plain) + 1);
  const pad = plain.startsWith("`") || plain.endsWith("`") ? " " : "";
  return `${ticks}${pad}${plain}${pad}${ticks}`;
}

/** Longer than any fence within, so that a recipe cannot end its own block. */
export function fenceFor(text: string): string {
  return "`".repeat(Math.max(3, longestRun(text) + 1));
}

function longestRun(text: string): number {
  return Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length));
}

export function tableRow(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}
