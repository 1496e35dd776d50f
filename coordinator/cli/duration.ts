/** `75` → `"1m15s"`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${String(Math.floor(seconds % 60)).padStart(2, "0")}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours}h${String(minutes % 60).padStart(2, "0")}m`;
  return `${Math.floor(hours / 24)}d${String(hours % 24).padStart(2, "0")}h`;
}

/** How long ago something written down as ISO 8601 was: `"1m15s"`, and `"?"` for what is no time. */
export function formatAge(at: string, now: number): string {
  const then = Date.parse(at);
  // Clocks of two machines differ a little, and nothing is younger than now.
  return Number.isNaN(then) ? "?" : formatSeconds(Math.max(0, now - then) / 1000);
}

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time that a person typed, in milliseconds: `"30s"`, `"10m"`, `"2h"`, `"1.5d"`. Undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const match = /^\s*(\d{1,9}(?:\.\d{1,9})?)\s*([smhd])\s*$/.exec(text);
  const [, digits = "", unit = ""] = match ?? [];
  return match === null ? undefined : Number(digits) * (unitMs[unit] ?? 0);
}
