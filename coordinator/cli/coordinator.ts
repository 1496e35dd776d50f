import { hostname } from "node:os";
import { settle } from "../../shared/bus/nats/options.js";
import { AmalgamError } from "../../shared/errors.js";
import { type HttpWords, readHttpWords } from "../../shared/http/listen.js";
import type { Log, LogFormat, LogLevel } from "../../shared/log/log.js";
import { openLog } from "../../shared/log/open-log.js";
import { assertRoots } from "../../shared/remote/reach.js";
import { certifiedName } from "../../shared/rpc/tls/own-certificate.js";
import { openTracing } from "../../shared/trace/open-tracing.js";
import { type Joined, runCoordinator } from "../cluster/run-coordinator.js";
import { securityOf } from "./cluster-access.js";
import type { ClusterOptions } from "./cluster-options.js";
import { interruptible } from "./interrupt.js";
import type { Terminal } from "./terminal.js";

export interface CoordinatorOptions extends ClusterOptions, HttpWords {
  readonly name?: string | undefined;
  readonly jobs: number;
  readonly keepJournals?: string | undefined;
  readonly assemblers?: number | undefined;
  /** Addresses. */
  readonly allowSource?: readonly string[] | undefined;
  readonly sweeps?: readonly string[] | undefined;
  readonly logFormat: LogFormat;
  readonly logLevel: LogLevel;
  readonly traces: boolean;
}

/** `amalgam coordinator`: leads jobs until SIGTERM or Ctrl-C, hands them over then and leaves. */
export async function coordinator(options: CoordinatorOptions, { stdout, stderr }: Terminal): Promise<number> {
  const { nats, jobs: maxJobs, keepJournals, assemblers, json, sweeps, logFormat, logLevel, traces } = options;
  const { allowSource: allowedSources } = options;
  assertRoots(allowedSources ?? [], "--allow-source");
  const security = securityOf(options);
  const name = certifiedName(security, "coordinator", options.name) ?? `${hostname()}-${process.pid}`;
  const http = readHttpWords(options, security);
  const { shownUrl } = settle({ url: nats, security, name: "amalgam coordinator" });
  const base = { node: name, role: "coordinator" };
  const log = await openLog({ format: logFormat, level: logLevel, base, write: (line) => void stderr.write(line) });
  await using tracing = await openTracing({ isOn: traces, service: "amalgam-coordinator", node: name, log });
  const announce = (event: object, told: string): void => {
    if (json) stdout.write(`${JSON.stringify(event)}\n`);
    else if (logFormat === "json") log.info(told);
    else stdout.write(`${told}\n`);
  };
  const onReady = ({ name: node, url }: Joined): void => {
    announce({ event: "joined", node, nats: shownUrl }, `Coordinator ${node} joined the cluster at ${shownUrl}`);
    if (url !== undefined) announce({ event: "http", node, url }, `Coordinator ${node} shows itself at ${url}`);
  };
  using _surprises = tellSurprises(logFormat, log);
  try {
    await interruptible((signal) =>
      runCoordinator({
        nats,
        name,
        maxJobs,
        keepJournals,
        assemblers,
        allowedSources,
        security,
        signal,
        log,
        http,
        sweeps,
        tracing,
        onReady,
      }),
    );
    return 0;
  } catch (reason) {
    // Whoever reads lines of JSON gets the last one so, too.
    if (logFormat === "text") throw reason;
    const { message, code, exitCode } = AmalgamError.from(reason);
    log.error(message, { code });
    return exitCode;
  } finally {
    // Lines that nobody takes, as from a pipe that is full, do not hold the process.
    if (stderr.writableLength > 0) setTimeout(() => process.exit(), unreadMs).unref();
  }
}

/** How long the last lines of the log may take to be read. */
const unreadMs = 2_000;

/** A coordinator in an unknown state must not go on. Node says why in lines of text: this does where lines are JSON. */
function tellSurprises(format: LogFormat, log: Log): Disposable {
  const onSurprise = (reason: unknown): void => {
    const { message, code, stack } = AmalgamError.from(reason);
    log.error(`The coordinator ends, for something happened that nobody was prepared for: ${message}`, { code, stack });
    process.exit(1);
  };
  if (format === "json") process.on("uncaughtException", onSurprise);
  return { [Symbol.dispose]: () => void process.off("uncaughtException", onSurprise) };
}
