import type { Estimate } from "../types.js";
import type { Summary } from "./summary.js";

/** What stands where there is no number. */
export const nothing = "–";

/** Decimals that show numbers of this size with about three digits: 0.912, 12.3, 1520. */
export function decimalsFor(values: readonly number[]): number {
  const largest = Math.max(0, ...values.filter(Number.isFinite).map(Math.abs));
  return largest >= 1000 ? 0 : largest >= 100 ? 1 : largest >= 10 ? 2 : 3;
}

/** A number, or a dash for none. */
export function formatNumber(value: number | undefined, decimals: number): string {
  if (value === undefined || Number.isNaN(value)) return nothing;
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  return value.toFixed(decimals).replace("-", "−");
}

/** The same with its sign: `+0.012`, `−0.003`, `0.000`. */
export function formatSigned(value: number | undefined, decimals: number): string {
  const text = formatNumber(value, decimals);
  return value !== undefined && value > 0 && Number(value.toFixed(decimals)) > 0 ? `+${text}` : text;
}

/** A number with half its interval: `0.912 ±0.011`; the number alone where the interval is unknown. */
export function formatEstimate(estimate: Estimate | undefined, decimals: number): string {
  if (estimate === undefined) return nothing;
  const half = (estimate.high - estimate.low) / 2;
  const value = formatNumber(estimate.value, decimals);
  return Number.isFinite(half) && value !== nothing ? `${value} ±${half.toFixed(decimals)}` : value;
}

/** Decimals of each task's column, so that its numbers line up. */
export function columnDecimals({ tasks, models }: Summary): readonly number[] {
  return tasks.map((_, i) => decimalsFor(models.flatMap(({ cells }) => cells[i]?.estimate.value ?? [])));
}

/** Seconds for people: `4.2 s`, `3 min 20 s`, `2 h 05 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const pad = (count: number): string => String(count).padStart(2, "0");
  return hours > 0 ? `${hours} h ${pad(minutes)} min` : `${minutes} min ${pad(Math.floor(seconds) % 60)} s`;
}
