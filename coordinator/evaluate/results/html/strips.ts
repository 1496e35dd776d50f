import type { Estimate } from "../../types.js";
import { formatNumber } from "../format.js";
import { html, type Markup } from "./markup.js";
import type { Scale } from "./scale.js";

// Pieces of plots, one row high. Places are in percent of the width, so that a plot fits any screen and its text keeps
// its size.

const percent = (place: number): string => `${place.toFixed(2)}%`;

function gridLines({ ticks, toPercent }: Scale): readonly Markup[] {
  return ticks.map((tick) => {
    const x = percent(toPercent(tick));
    return html`<line class="tick" x1="${x}" x2="${x}" y1="0" y2="100%"/>`;
  });
}

/** A dot with a line for its interval. */
export function dotStrip(title: string, { value, low, high }: Estimate, scale: Scale): Markup {
  const at = (number: number): string => percent(scale.toPercent(number));
  const hasInterval = Number.isFinite(low) && Number.isFinite(high);
  const interval = hasInterval
    ? html`<line class="interval" x1="${at(low)}" x2="${at(high)}" y1="50%" y2="50%"/>`
    : undefined;
  const dot = Number.isFinite(value) ? html`<circle class="dot" cx="${at(value)}" cy="50%" r="4.5"/>` : undefined;
  return strip(title, [...gridLines(scale), interval, dot]);
}

/** A bar from zero. */
export function barStrip(title: string, value: number, scale: Scale): Markup {
  const [from, to] = [scale.toPercent(0), scale.toPercent(value)];
  const bar = Number.isFinite(value)
    ? html`<rect class="bar" x="${percent(Math.min(from, to))}" y="22%" width="${percent(Math.abs(to - from))}" height="56%" rx="2"/>`
    : undefined;
  return strip(title, [...gridLines(scale), bar]);
}

function strip(title: string, parts: readonly (Markup | undefined)[]): Markup {
  return html`<svg class="strip" role="img" aria-label="${title}"><title>${title}</title>${parts}</svg>`;
}

/** The numbers below a column of strips. */
export function axis({ ticks, decimals, toPercent }: Scale): Markup {
  const labels = ticks.map((tick) => {
    const place = toPercent(tick);
    const anchor = place < 6 ? "start" : place > 94 ? "end" : "middle";
    return html`<text x="${percent(place)}" y="12" text-anchor="${anchor}">${formatNumber(tick, decimals)}</text>`;
  });
  return html`<svg class="axis" aria-hidden="true">${labels}</svg>`;
}
