import { catalogue, type MetricSpec } from "./catalogue.js";

/** The table of `docs/metrics.md`: a test holds the page to it. */
export function metricsTable(): string {
  const rows = Object.entries(catalogue).map(([name, spec]) => row(name, spec));
  return ["| name | type | of | what it says | labels |", "|---|---|---|---|---|", ...rows].join("\n");
}

function row(name: string, { type, of, help, labels = {} }: MetricSpec): string {
  const shown = Object.entries(labels).map(([label, values]) => `\`${label}\`: ${values}`);
  return `| \`${name}\` | ${type} | ${of.join(", ")} | ${help} | ${shown.join("; ")} |`;
}
