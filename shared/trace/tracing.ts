/** Facts of a span, by OpenTelemetry's rules for names: `amalgam.unit`. */
export type SpanFacts = Readonly<Record<string, string | number | boolean>>;

/** Something that takes time. */
export interface TraceSpan {
  /** What is handed to whoever does a part of it: W3C Trace Context's `traceparent`. */
  readonly traceparent: string;
  /** Hexadecimal. */
  readonly traceId: string;
  set(facts: SpanFacts): void;
  /** Once. With an error the span has failed. `endMs` as in {@link SpanOptions.startMs}. */
  end(error?: Error, endMs?: number): void;
}

export interface SpanOptions {
  /** The `traceparent` of what it is a part of. One that is malformed counts as none. */
  readonly parent?: string | undefined;
  readonly facts?: SpanFacts;
  /** Milliseconds since 1970. @default now */
  readonly startMs?: number;
  /** @default "internal" */
  readonly kind?: "internal" | "client" | "server";
}

/** Where spans go. Disposing of it sends what has ended. */
export interface Tracing extends AsyncDisposable {
  start(name: string, options?: SpanOptions): TraceSpan;
}

export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: number;
}

/** W3C Trace Context, section 3.2: versions above 00 may have more parts; `ff` and ids of zeros are none. */
export function parseTraceparent(text: string | undefined): TraceParent | undefined {
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[^\n]{0,256})?$/.exec(text ?? "");
  if (match === null) return undefined;
  const [, version, traceId = "", spanId = "", flags = "00", rest] = match;
  const isZero = /^0+$/.test(traceId) || /^0+$/.test(spanId);
  if (version === "ff" || isZero || (version === "00" && rest !== undefined)) return undefined;
  return { traceId, spanId, flags: Number.parseInt(flags, 16) };
}

export function formatTraceparent({ traceId, spanId, flags }: TraceParent): string {
  return `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, "0")}`;
}
