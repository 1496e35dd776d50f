import { type Command, Option } from "commander";
import { logFormats, logLevels } from "../../shared/log/log.js";

/** Options of a process that runs for long: how it tells of itself. */
export function withLogging(command: Command): Command {
  return command
    .addOption(new Option("--log-format <form>", "lines for people, or JSON").choices(logFormats).default("text"))
    .addOption(new Option("--log-level <level>", "the least that is told").choices(logLevels).default("info"))
    .option("--traces", "send OpenTelemetry traces, to OTEL_EXPORTER_OTLP_ENDPOINT", false);
}

/** Options of a process that is asked over HTTP. */
export function withHttp(command: Command): Command {
  return command
    .option("--http <host:port>", "serve the status page, /metrics, /healthz and /readyz (default: not)")
    .option("--http-token-file <file>", "a token of 16 characters or more that lets the page cancel and drain")
    .option("--http-tls-cert <file>", "a certificate for it (PEM; default: that of --tls-cert)")
    .option("--http-tls-key <file>", "its key (PEM)");
}
