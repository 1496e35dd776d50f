import {
  type Context,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { AmalgamError } from "../errors.js";
import type { Log } from "../log/log.js";
import { quote } from "../quote.js";
import { packageVersion } from "../rpc/version.js";
import type { TracingOptions } from "./options.js";
import { formatTraceparent, parseTraceparent, type SpanOptions, type TraceSpan, type Tracing } from "./tracing.js";

type Environment = Readonly<Record<string, string | undefined>>;

/** At the end, spans that a collector does not take are let go after this time. */
const lastMs = 5_000;
/** What goes wrong with the collector is said once in so long. */
const complainMs = 60_000;

const kinds = { internal: SpanKind.INTERNAL, client: SpanKind.CLIENT, server: SpanKind.SERVER } as const;

/** Sends spans over OTLP/HTTP in batches of up to 512; beyond 2,048 that wait they are dropped. */
export function openOtlpTracing(options: TracingOptions & { readonly environment: Environment }): Tracing {
  const { service, node, log, environment } = options;
  warnOfPlainEndpoint(environment, log);
  complainTo(log);
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({
      "service.name": environment["OTEL_SERVICE_NAME"] || service,
      "service.version": packageVersion(),
      "service.instance.id": node,
    }),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  const tracer = provider.getTracer("amalgam", packageVersion());
  return {
    start: (name, options) => start(tracer, name, options),
    [Symbol.asyncDispose]: async () => {
      const sent = provider.shutdown().then(
        () => true,
        () => true,
      );
      const patience = new Promise<false>((resolve) => setTimeout(() => resolve(false), lastMs).unref());
      const isOver = await Promise.race([sent, patience]);
      if (!isOver) log.warning(`The last traces are lost: nobody took them within ${lastMs / 1000} seconds`);
    },
  };
}

function start(tracer: Tracer, name: string, options: SpanOptions = {}): TraceSpan {
  const { parent, facts = {}, startMs, kind = "internal" } = options;
  const span = tracer.startSpan(
    name,
    { kind: kinds[kind], attributes: { ...facts }, ...(startMs !== undefined && { startTime: startMs }) },
    contextOf(parent),
  );
  const { traceId, spanId, traceFlags } = span.spanContext();
  return {
    traceparent: formatTraceparent({ traceId, spanId, flags: traceFlags }),
    traceId,
    set: (more) => void span.setAttributes({ ...more }),
    end: (error, endMs) => {
      if (error !== undefined) {
        const { code, message } = AmalgamError.from(error);
        span.setAttribute("error.type", code);
        span.setStatus({ code: SpanStatusCode.ERROR, message });
      }
      span.end(endMs);
    },
  };
}

function contextOf(traceparent: string | undefined): Context {
  const parent = parseTraceparent(traceparent);
  if (parent === undefined) return ROOT_CONTEXT;
  const { traceId, spanId, flags: traceFlags } = parent;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

/** Names of jobs, agents and folders are in spans. */
function warnOfPlainEndpoint(environment: Environment, log: Log): void {
  const endpoint =
    environment["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] || environment["OTEL_EXPORTER_OTLP_ENDPOINT"] || undefined;
  if (endpoint === undefined) return;
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const isLoopback = /^(localhost|\[::1\]|127(\.\d+){3})$/.test(url?.hostname ?? "");
  if (url?.protocol === "https:" || isLoopback) return;
  log.warning(`Traces go to ${quote(endpoint)} without encryption: anyone on the way can read them; use https`);
}

function complainTo(log: Log): void {
  let saidAt = Number.NEGATIVE_INFINITY;
  const say = (message: string): void => {
    if (performance.now() - saidAt < complainMs) return;
    saidAt = performance.now();
    log.warning(`Traces may be lost: ${reasonIn(message)}`);
  };
  diag.setLogger(
    { error: say, warn: say, info: () => undefined, debug: () => undefined, verbose: () => undefined },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}

/** Of an error the exporter tells all, its stack included, as JSON. */
function reasonIn(told: string): string {
  const reason = /"message":"((?:[^"\\]|\\.)*)"/.exec(told)?.[1] ?? told;
  return reason.split("\n", 1)[0]?.slice(0, 300) ?? "";
}
