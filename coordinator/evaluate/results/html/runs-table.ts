import type { ModelResult } from "../../types.js";
import { formatSeconds } from "../format.js";
import { html, type Markup } from "./markup.js";

/** What ran where, and how long. */
export function runsTable(models: readonly ModelResult[]): Markup {
  const rows = models.map(({ name, checkpoint, family, providers, seconds }) => {
    const lines = [...new Set(providers.map(describe))].map((line) => html`<div>${line}</div>`);
    return html`<tr><th scope="row">${name}</th><td>${checkpoint}</td><td>${family}</td><td>${lines}</td>
<td class="seconds">${formatSeconds(seconds)}</td></tr>`;
  });
  return html`<section><h2>Runs</h2><div class="scroll" tabindex="0" role="region" aria-label="Runs"><table class="runs">
<thead><tr><th scope="col">Model</th><th scope="col">Checkpoint</th><th scope="col">Family</th><th scope="col">Ran on</th>
<th scope="col" class="seconds">Time</th></tr></thead><tbody>${rows}</tbody></table></div></section>`;
}

function describe({ agent, provider, fallback }: ModelResult["providers"][number]): string {
  return fallback === "" ? `${agent}: ${provider}` : `${agent}: ${provider} (${fallback})`;
}
