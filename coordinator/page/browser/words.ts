/** Text that somebody told, with what is invisible or turns the line around as an escape. */
export function visible(text: string, maxLength = 4_000): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
  return cut.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu, (found) => {
    return found === "\n" ? found : `\\u{${(found.codePointAt(0) ?? 0).toString(16)}}`;
  });
}

/** The same on one line. */
export function oneLine(text: string, maxLength = 400): string {
  return visible(text, maxLength).replaceAll("\n", " ");
}

const byteUnits = ["B", "KB", "MB", "GB", "TB", "PB"];

export function bytes(count: number): string {
  let [value, unit] = [count, 0];
  for (; value >= 1_000 && unit < byteUnits.length - 1; unit += 1) value /= 1_000;
  return `${value.toFixed(unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2)} ${byteUnits[unit]}`;
}

export function rate(bytesPerSecond: number): string {
  return `${bytes(bytesPerSecond)}/s`;
}

/** `3 s`, `12 min`, `2 h 05 min`, `4 d`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 9.95 && !Number.isInteger(seconds)) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${seconds.toFixed(0)} s`;
  if (seconds < 5_970) return `${Math.round(seconds / 60)} min`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 2_880) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.round(minutes / 1_440)} d`;
}

/** `12 s ago`, counted from a time that may be ahead of the reader's clock. */
export function ago(at: string, nowMs: number): string {
  const seconds = (nowMs - Date.parse(at)) / 1_000;
  if (Number.isNaN(seconds)) return visible(at, 40);
  return seconds < 5 ? "just now" : `${duration(Math.round(seconds))} ago`;
}

/** `for 12 s`. */
export function sinceThen(at: string, nowMs: number): string {
  const seconds = (nowMs - Date.parse(at)) / 1_000;
  return Number.isNaN(seconds) ? `since ${visible(at, 40)}` : `for ${duration(Math.max(0, Math.round(seconds)))}`;
}

const two = (value: number): string => String(value).padStart(2, "0");

/** By the reader's clock: `17:04:33` of the same day as `nowMs`, otherwise `11-20 17:04`. */
export function clockTime(at: string, nowMs: number): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return visible(at, 40);
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (date.toDateString() === new Date(nowMs).toDateString()) return `${time}:${two(date.getSeconds())}`;
  return `${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}

/** `2026-11-20 17:04:33`, by the reader's clock. */
export function dateTime(at: string): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return visible(at, 40);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

export function percent(share: number): string {
  return `${Math.floor(100 * Math.max(0, Math.min(1, share)))} %`;
}

export function count(number: number, one: string, more = `${one}s`): string {
  return `${number.toLocaleString("en")} ${number === 1 ? one : more}`;
}

/** A shape for every state, so that colour is never alone. */
const marks: Readonly<Record<string, string>> = {
  ...{ queued: "○", planning: "◔", running: "▸", waiting: "‖", committing: "◕", done: "✓", failed: "✕", canceled: "–" },
  ...{ ready: "●", draining: "◐", silent: "✕", unknown: "?", info: "·", warning: "△", error: "✕" },
};

export function mark(state: string): string {
  return marks[state] ?? "·";
}

export function matches(find: string, ...texts: readonly (string | undefined)[]): boolean {
  const wanted = find.trim().toLowerCase();
  return wanted === "" || texts.some((text) => text?.toLowerCase().includes(wanted));
}
