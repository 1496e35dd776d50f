import type { SpanFacts, TraceSpan, Tracing } from "../../../shared/trace/tracing.js";

export interface RecordedSpan {
  readonly name: string;
  /** The `traceparent` that it was started under. */
  readonly parent: string | undefined;
  readonly startMs: number | undefined;
  facts: SpanFacts;
  /** Undefined: it has not ended. */
  end: { readonly error?: string; readonly endMs?: number } | undefined;
}

/** Spans that are kept in a list; a span's `traceparent` is its name and number. */
export function recordedTracing(): Tracing & { readonly spans: readonly RecordedSpan[] } {
  const spans: RecordedSpan[] = [];
  return {
    spans,
    start: (name, { parent, facts = {}, startMs } = {}): TraceSpan => {
      const span: RecordedSpan = { name, parent, startMs, facts, end: undefined };
      const number = spans.push(span);
      return {
        traceparent: `${name} ${number}`,
        traceId: "the trace",
        set: (more) => {
          span.facts = { ...span.facts, ...more };
        },
        end: (error, endMs) => {
          if (span.end !== undefined) throw new Error(`${name} ${number} ends twice`);
          span.end = { ...(error && { error: error.message }), ...(endMs !== undefined && { endMs }) };
        },
      };
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}
