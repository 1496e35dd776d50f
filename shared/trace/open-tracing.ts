import type { TracingOptions } from "./options.js";
import type { Tracing } from "./tracing.js";

/**
 * Traces by OpenTelemetry, if they are asked for: by `isOn` or OTEL_TRACES_EXPORTER=otlp. Undefined, and nothing is loaded,
 * if they are not. Where they go is for OpenTelemetry's own variables to say, such as OTEL_EXPORTER_OTLP_ENDPOINT.
 */
export async function openTracing(options: TracingOptions): Promise<Tracing | undefined> {
  const { isOn, environment = process.env } = options;
  if (environment["OTEL_SDK_DISABLED"] === "true") return undefined;
  if (!isOn && environment["OTEL_TRACES_EXPORTER"] !== "otlp") return undefined;
  // 170 ms, for those who ask for it.
  const { openOtlpTracing } = await import("./otlp-tracing.js");
  return openOtlpTracing({ ...options, environment });
}
