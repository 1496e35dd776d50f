import { shellWord } from "../../shared/quote.js";
import { licenseEntries } from "../assemble/front-matter.js";
import { formatLicenses } from "../assemble/license-section.js";
import { code } from "../assemble/markdown.js";
import type { CombinedLicense } from "../provenance/licenses/combine.js";

/** What an adapter's README says. */
export interface AdapterCard {
  readonly title: string;
  /** One paragraph. */
  readonly summary: string;
  /** As the author named it. */
  readonly base: string | null;
  /** Facts, each with a name. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** What makes it again, one argument each. */
  readonly command: readonly string[];
  readonly amalgam: string;
  readonly license: CombinedLicense;
}

/** The README that the Hugging Face Hub shows. Nothing in it depends on the machine or the run. */
export function formatAdapterCard({ title, summary, base, facts, command, amalgam, license }: AdapterCard): string {
  // Any other text would be a broken link there.
  const isHubId = base !== null && /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/.test(base);
  return [
    [
      "---",
      ...(isHubId ? [`base_model: ${JSON.stringify(base)}`] : []),
      "library_name: peft",
      ...licenseEntries(license),
      ...["tags:", "- lora", "- amalgam", "---"],
    ].join("\n"),
    `# ${title}`,
    `${summary} Made with Amalgam ${amalgam}.`,
    ["| | |", "| --- | --- |", ...facts.map(([name, value]) => `| ${name} | ${code(value)} |`)].join("\n"),
    ...formatLicenses(license),
    "## Make it again",
    `\`\`\`sh\n${command.map(cardWord).join(" ")}\n\`\`\``,
  ]
    .join("\n\n")
    .concat("\n");
}

/** As a shell reads it back, and without what would end the code block. */
function cardWord(word: string): string {
  return shellWord(word.replace(/\p{C}/gu, " ").replaceAll("```", "'''"));
}
