import { AmalgamError } from "../../shared/errors.js";
import { noLog } from "../../shared/log/log.js";
import { openTracing } from "../../shared/trace/open-tracing.js";
import { parseTraceparent } from "../../shared/trace/tracing.js";

/**
 * Hands a job in under the trace that TRACEPARENT of the environment names, as pipelines set it for what they run. Where
 * traces are asked for (OTEL_TRACES_EXPORTER=otlp) handing it in is a span, too.
 */
export async function traceSubmission<T>(
  { id, by }: { readonly id: string; readonly by: string },
  submit: (traceparent: string | undefined) => Promise<T>,
): Promise<T> {
  const given = process.env["TRACEPARENT"];
  const parent = parseTraceparent(given) === undefined ? undefined : given;
  await using tracing = await openTracing({ isOn: false, service: "amalgam-submit", node: by, log: noLog });
  const span = tracing?.start("submit", { parent, kind: "client", facts: { "amalgam.job": id } });
  try {
    const result = await submit(span?.traceparent ?? parent);
    span?.end();
    return result;
  } catch (error) {
    span?.end(AmalgamError.from(error));
    throw error;
  }
}
