import { type Clock, sleep, systemClock } from "../../shared/clock.js";
import type { Board } from "./board.js";

/** At most so often is one reader told, whatever happens. */
const pauseMs = 500;
/** So often it is told that there is nothing to tell: a page that hears less than that has lost its server. */
export const beatMs = 5_000;

export interface StreamOptions {
  readonly isAuthenticated: boolean;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  readonly date?: () => Date;
}

/**
 * Server-sent events: `snapshot` with everything, then `changes` with what is new, `beat` when nothing is. A reader that
 * is slow misses nothing but what was overwritten meanwhile, and has nothing kept for it here.
 */
export async function* streamOf(board: Board, options: StreamOptions): AsyncGenerator<string, void, void> {
  const { signal, clock = systemClock, date = () => new Date() } = options;
  const at = (): string => date().toISOString();
  board.readers += 1;
  try {
    let seen = board.version;
    yield `retry: 1000\n${snapshotEvent(board, at(), options.isAuthenticated)}`;
    while (!signal.aborted) {
      const isNew = await changed(board, seen, clock, signal);
      if (signal.aborted) return;
      if (!isNew) {
        yield `event: beat\ndata: ${JSON.stringify({ at: at() })}\n\n`;
        continue;
      }
      const changes = board.since(seen);
      seen = board.version;
      if (changes === undefined) yield snapshotEvent(board, at(), options.isAuthenticated);
      else yield `event: changes\ndata: ${changes}\n\n`;
      await sleep(clock, pauseMs, signal);
    }
  } finally {
    board.readers -= 1;
  }
}

export function snapshotOf(board: Board, at: string, isAuthenticated: boolean): string {
  const head = JSON.stringify({ at, isAuthenticated }).slice(0, -1);
  const rest = board.whole().slice(1);
  return rest === "}" ? `${head}}` : `${head},${rest}`;
}

function snapshotEvent(board: Board, at: string, isAuthenticated: boolean): string {
  return `event: snapshot\ndata: ${snapshotOf(board, at, isAuthenticated)}\n\n`;
}

/** False: nothing did within {@link beatMs}, or the signal was aborted. */
async function changed(board: Board, seen: number, clock: Clock, signal: AbortSignal): Promise<boolean> {
  if (board.version > seen) return true;
  // `AbortSignal.any` would leave something behind with the stream's signal at every beat.
  const woken = new AbortController();
  const wake = (): void => woken.abort();
  const unlisten = board.onChange(wake);
  signal.addEventListener("abort", wake, { once: true });
  if (signal.aborted) wake();
  try {
    await sleep(clock, beatMs, woken.signal);
  } finally {
    signal.removeEventListener("abort", wake);
    unlisten();
  }
  return board.version > seen;
}
