import type { PageEvent } from "./dom-types.js";

interface EventStream {
  readonly readyState: number;
  addEventListener(type: string, listener: (event: PageEvent) => void): void;
  close(): void;
}

interface Answer {
  readonly ok: boolean;
  readonly status: number;
  text(): Promise<string>;
}

declare const EventSource: new (url: string) => EventStream;
declare const fetch: (url: string, how?: Record<string, unknown>) => Promise<Answer>;

export function openStream(url: string): EventStream {
  return new EventSource(url);
}

/** What came of a request: `status` 0 where the server cannot be reached. */
export interface Outcome {
  readonly status: number;
  /** Why it failed, in the words of the server; undefined: it is done. */
  readonly problem?: string;
}

export async function post(url: string, body?: string): Promise<Outcome> {
  try {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const answer = await fetch(url, { method: "POST", headers, ...(body === undefined ? {} : { body }) });
    const { status } = answer;
    if (answer.ok) return { status };
    return { status, problem: errorIn(await answer.text()) || `The server answers ${status}` };
  } catch {
    return unreachable;
  }
}

export async function get(url: string): Promise<Outcome & { readonly text?: string }> {
  try {
    const answer = await fetch(url);
    const { status } = answer;
    const text = await answer.text();
    return answer.ok ? { status, text } : { status, problem: errorIn(text) || `The server answers ${status}` };
  } catch {
    return unreachable;
  }
}

const unreachable: Outcome = { status: 0, problem: "The server cannot be reached" };

function errorIn(text: string): string {
  try {
    return String((JSON.parse(text) as { readonly error?: unknown }).error ?? "");
  } catch {
    return text.trim().slice(0, 500);
  }
}
