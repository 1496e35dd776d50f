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
}

/** The README that the Hugging Face Hub shows. Nothing in it depends on the machine or the run. */
export function formatAdapterCard({ title, summary, base, facts, command, amalgam }: AdapterCard): string {
  // Any other text would be a broken link there.
  const isHubId = base !== null && /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/.test(base);
  return [
    ["---", ...(isHubId ? [`base_model: ${JSON.stringify(base)}`] : []), "library_name: peft", "tags:", "- lora"]
      .concat(["- amalgam", "---"])
      .join("\n"),
    `# ${title}`,
    `${summary} Made with Amalgam ${amalgam}.`,
    ["| | |", "| --- | --- |", ...facts.map(([name, value]) => `| ${name} | ${code(value)} |`)].join("\n"),
    "## Make it again",
    `\`\`\`sh\n${command.map(shellWord).join(" ")}\n\`\`\``,
  ]
    .join("\n\n")
    .concat("\n");
}

function code(text: string): string {
  const plain = text.replace(/\p{C}|\s/gu, " ").replaceAll("|", "\\|");
  const ticks = "`".repeat(Math.max(0, ...(plain.match(/`+/g) ?? []).map((run) => run.length)) + 1);
  const pad = plain.startsWith("`") || plain.endsWith("`") ? " " : "";
  return `${ticks}${pad}${plain}${pad}${ticks}`;
}

/** As a shell reads it back, and without what would end the code block. */
function shellWord(word: string): string {
  const plain = word.replace(/\p{C}/gu, " ").replaceAll("```", "'''");
  return /^[\w./:=@%+,-]+$/.test(plain) ? plain : `'${plain.replaceAll("'", "'\\''")}'`;
}
