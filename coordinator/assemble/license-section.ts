import type { CombinedLicense } from "../provenance/licenses/combine.js";
import { licenseId } from "../provenance/licenses/conflicts.js";
import { code, escapeText, tableRow } from "./markdown.js";

/** What a card says of licences, in parts. Nothing where no source says under which one it is. */
export function formatLicenses(combined: CombinedLicense): readonly string[] {
  const { license, sources, isMixed, conflicts, duties } = combined;
  if (license === undefined) return [];
  const rows = sources.map((source) => tableRow([code(source.name), escapeText(licenseId(source) ?? "not said")]));
  const asks = duties.map((one) => `- ${code(one.license)}: ${escapeText(one.duty)} (<${one.source}>).`);
  const toSee = conflicts.map((one) => `- ${escapeText(one)}.`);
  return [
    "## Licences",
    [tableRow(["Model", "Licence"]), tableRow(["---", "---"]), ...rows].join("\n"),
    ...(isMixed ? ["The sources have several licences, and what each of them asks applies to this model."] : []),
    ...(asks.length === 0 ? [] : [["Who shares it has to:", "", ...asks].join("\n")]),
    ...(toSee.length === 0 ? [] : [["**To look at before it is shared:**", "", ...toSee].join("\n")]),
    "This is what the sources' own cards say. It is information, and no legal advice.",
  ];
}
