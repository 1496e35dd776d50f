import { availableParallelism, hostname } from "node:os";
import { parseArgs } from "node:util";
import { parseBytes } from "../shared/bytes.js";
import { AmalgamError } from "../shared/errors.js";
import type { HttpWords } from "../shared/http/listen.js";
import { type LogFormat, type LogLevel, logFormats, logLevels } from "../shared/log/log.js";
import { quote } from "../shared/quote.js";
import type { SecurityFiles } from "../shared/rpc/security.js";
import { suggest } from "../shared/suggest.js";
import { autoProviders, isProvider, type Provider, providerNames } from "./evaluate/providers.js";

/** What an agent is. */
export interface AgentSettings {
  /** The folders below which it reads and writes, and the URLs below which it reads. At least one. */
  readonly roots: readonly string[];
  /** @default "127.0.0.1" */
  readonly host?: string;
  /** @default 0, any free one */
  readonly port?: number;
  /** Units at once, each on a thread of its own. @default as many as there are cores */
  readonly slots?: number;
  /** What all slots together may hold for tensor data. @default 2 GiB */
  readonly memoryBytes?: number;
  /** What all slots together may read and write in a second. @default no limit */
  readonly ioBytesPerSecond?: number;
  /** @default host name and process id */
  readonly name?: string;
  /** Execution providers of ONNX Runtime, in the order to try them. Empty: it does not evaluate. @default the CPU */
  readonly providers?: readonly Provider[];
  /** Threads of one operator of a model. @default as many as there are cores */
  readonly evalThreads?: number;
  /** What models and their batches may take. @default most of what is free at the time */
  readonly evalMemoryBytes?: number;
  /**
   * What trials of sweeps may hold in memory; 0: it runs none. @default half of what is free when the agent starts, and at
   * most 80 % of what {@link trialFolder} has room for, divided by {@link agentsHere}
   */
  readonly trialMemoryBytes?: number;
  /** Agents that are about to share the memory of this machine, this one included. @default 1 */
  readonly agentsHere?: number;
  /** Where trials hold their files: a file system in memory. @default "/dev/shm", or no trials where that is none */
  readonly trialFolder?: string;
}

/** What `amalgam agent` is asked for. */
export interface AgentCommand {
  readonly agent: AgentSettings;
  readonly tls: SecurityFiles;
  /** How long units may go on after the first SIGTERM. */
  readonly graceMs: number;
  /** Where it is asked for metrics and health. */
  readonly http: HttpWords;
  readonly telling: Telling;
  /** Undefined: the agent serves whoever connects, and tells nobody of itself. */
  readonly cluster: ClusterSettings | undefined;
}

/** How a process says what it does. */
export interface Telling {
  readonly format: LogFormat;
  readonly level: LogLevel;
  /** Send OpenTelemetry traces. */
  readonly traces: boolean;
}

/** How an agent becomes a member of a cluster. */
export interface ClusterSettings {
  /** Of NATS; may hold a password. */
  readonly url: string;
  /** How long NATS may take to answer at the start. */
  readonly waitMs: number;
  /** `HOST[:PORT]`, where others reach the agent. @default where it listens */
  readonly advertise: string | undefined;
}

export const defaults = {
  host: "127.0.0.1",
  port: 0,
  memoryBytes: 2 * 1024 ** 3,
  graceMs: 30_000,
  natsWaitMs: 30_000,
  providers: ["cpu"],
  slots: () => availableParallelism(),
  name: () => `${hostname()}-${process.pid}`,
} as const;

const maxSlots = 1_024;
const maxNameLength = 200;
/** Below this a worker cannot hold one block of the inputs of an ordinary merge. */
const minMemoryBytes = 16 * 1024 ** 2;
/** At less, a tile would take seconds, and the unit would seem to hang. */
const minIoBytesPerSecond = 1024 ** 2;

export const agentUsage = `Usage: amalgam agent --root DIR [--root DIR ...] [options]

Runs units for coordinators, reading and writing only below its roots.

  --root DIR|URL       a folder it may read and write, or an address below which it may read from servers, such as
                       https://host/models, s3://bucket, hf://owner or hf://owner/name; repeatable
  --port PORT          default: any free one
  --host HOST          what it listens on, default ${defaults.host}; any but a loopback address takes TLS
  --slots N            units at once, default: one per core
  --memory SIZE        what all slots together may hold for tensor data, default 2GiB
  --io-limit SIZE      reads and writes at most so many bytes per second, default: as fast as it can
  --name NAME          what it is called, default: as its certificate says, or host name and process id
  --grace SECONDS      how long units may go on after SIGTERM, default ${defaults.graceMs / 1000}; a second SIGTERM ends them at once

For evaluating checkpoints:
  --provider NAME[,..] ${[...providerNames, "auto"].join(", ")}: how models are run, in the order to try; default cpu
  --eval-threads N     threads of a model, default: one per core
  --eval-memory SIZE   what models and batches may take, default: most of what is free
  --no-eval            evaluate nothing, and run no trials

For trials of sweeps, which are merged in memory:
  --trial-memory SIZE  what they may hold, default: half of what is free at the start; 0: run none
  --trial-folder DIR   a file system in memory (tmpfs) to hold it in, default /dev/shm
  --agents-here N      agents that share this machine, and so the default of --trial-memory; default 1

As a member of a cluster:
  --nats URL           the cluster's NATS server, default: AMALGAM_NATS of the environment
  --nats-wait SECONDS  how long it may take to answer at the start, default ${defaults.natsWaitMs / 1000}
  --advertise HOST[:PORT]  where others reach the agent, default: where it listens

To see what it does:
  --http HOST:PORT     serve /metrics, /healthz and /readyz there, default: nowhere
  --http-tls-cert FILE the certificate to show there, PEM; default: that of --tls-cert
  --http-tls-key FILE  its key, PEM
  --log-format FORM    text or json, default text
  --log-level LEVEL    ${logLevels.join(", ")}: the least that is told, default info
  --traces             send OpenTelemetry traces, to OTEL_EXPORTER_OTLP_ENDPOINT

TLS, with both sides showing a certificate (the first three, or none):
  --tls-ca FILE        who signed the certificates of the others, PEM; default: AMALGAM_TLS_CA
  --tls-cert FILE      the agent's own certificate, PEM; default: AMALGAM_TLS_CERT
  --tls-key FILE       its key, PEM; default: AMALGAM_TLS_KEY
  --tls-crl FILE       certificates that are revoked, PEM; followed as the others are; default: AMALGAM_TLS_CRL
`;

/** The words after `amalgam agent`, and the environment. Undefined: help was asked for. */
export function parseAgentArguments(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = {},
): AgentCommand | undefined {
  const values = parse(argv);
  if (values.help === true) return undefined;
  const { host, name, advertise } = values;
  const agent = {
    roots: values.root ?? [],
    ...defined({
      host,
      port: integer("--port", values.port),
      slots: integer("--slots", values.slots),
      memoryBytes: size("--memory", values.memory),
      ioBytesPerSecond: size("--io-limit", values["io-limit"]),
      name,
      providers: values["no-eval"] === true ? [] : providers(values.provider),
      evalThreads: integer("--eval-threads", values["eval-threads"]),
      evalMemoryBytes: size("--eval-memory", values["eval-memory"]),
      trialMemoryBytes: size("--trial-memory", values["trial-memory"]),
      trialFolder: values["trial-folder"],
      agentsHere: integer("--agents-here", values["agents-here"]),
    }),
  };
  // A variable that is set to nothing is how one is unset in many a configuration.
  const given = (variable: string): string | undefined => environment[variable] || undefined;
  const url = values.nats ?? given("AMALGAM_NATS");
  const waitMs = milliseconds("--nats-wait", values["nats-wait"]) ?? defaults.natsWaitMs;
  const cluster = url === undefined || url === "" ? undefined : { url, waitMs, advertise };
  if (cluster === undefined && advertise !== undefined) {
    throw new AmalgamError("usage", 'Cannot use "--advertise" without "--nats": there is no cluster to tell it to');
  }
  if (cluster !== undefined && advertise === undefined && isWildcard(host ?? defaults.host)) {
    throw new AmalgamError(
      "usage",
      `Cannot join a cluster as ${quote(host ?? "")}: nobody can connect to that, so say how others reach the agent with "--advertise HOST"`,
    );
  }
  return {
    agent,
    tls: {
      ca: values["tls-ca"] ?? given("AMALGAM_TLS_CA"),
      certificate: values["tls-cert"] ?? given("AMALGAM_TLS_CERT"),
      key: values["tls-key"] ?? given("AMALGAM_TLS_KEY"),
      crl: values["tls-crl"] ?? given("AMALGAM_TLS_CRL"),
    },
    graceMs: milliseconds("--grace", values.grace) ?? defaults.graceMs,
    http: { http: values.http, httpTlsCert: values["http-tls-cert"], httpTlsKey: values["http-tls-key"] },
    telling: {
      format: oneOf("--log-format", values["log-format"], logFormats) ?? "text",
      level: oneOf("--log-level", values["log-level"], logLevels) ?? "info",
      traces: values.traces === true,
    },
    cluster,
  };
}

const options = {
  root: { type: "string", multiple: true },
  port: { type: "string" },
  host: { type: "string" },
  slots: { type: "string" },
  memory: { type: "string" },
  "io-limit": { type: "string" },
  name: { type: "string" },
  grace: { type: "string" },
  provider: { type: "string", multiple: true },
  "eval-threads": { type: "string" },
  "eval-memory": { type: "string" },
  "no-eval": { type: "boolean" },
  "trial-memory": { type: "string" },
  "trial-folder": { type: "string" },
  "agents-here": { type: "string" },
  nats: { type: "string" },
  "nats-wait": { type: "string" },
  advertise: { type: "string" },
  "tls-ca": { type: "string" },
  "tls-cert": { type: "string" },
  "tls-key": { type: "string" },
  "tls-crl": { type: "string" },
  http: { type: "string" },
  "http-tls-cert": { type: "string" },
  "http-tls-key": { type: "string" },
  "log-format": { type: "string" },
  "log-level": { type: "string" },
  traces: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      strict: true,
      allowPositionals: false,
      options,
    }).values;
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    const unknown = /^Unknown option '--([^']+)'/.exec(problem)?.[1];
    const near = unknown === undefined ? undefined : suggest(unknown, Object.keys(options));
    const hint = near === undefined ? "" : `, did you mean ${quote(`--${near}`)}?`;
    throw new AmalgamError("usage", `${problem}${hint}`, { cause: error });
  }
}

/** Each once, in the order given. */
function providers(words: readonly string[] | undefined): readonly Provider[] | undefined {
  const names = words?.flatMap((word) => word.split(",").flatMap((name) => providersOf(name.trim())));
  return names === undefined ? undefined : [...new Set(names)];
}

function providersOf(name: string): readonly Provider[] {
  if (name === "auto") return autoProviders;
  if (isProvider(name)) return [name];
  const near = suggest(name, [...providerNames, "auto"]);
  const known = `it is none of ${providerNames.join(", ")} and auto`;
  throw refused("--provider", name, near === undefined ? known : `${known}; did you mean ${quote(near)}?`);
}

function oneOf<Word extends string>(
  option: string,
  text: string | undefined,
  words: readonly Word[],
): Word | undefined {
  if (text === undefined) return undefined;
  const found = words.find((word) => word === text);
  if (found !== undefined) return found;
  const near = suggest(text, words);
  const known = `it is none of ${words.join(", ")}`;
  throw refused(option, text, near === undefined ? known : `${known}; did you mean ${quote(near)}?`);
}

function integer(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text)) throw refused(option, text, "it is not a whole number");
  return Number(text);
}

function milliseconds(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,6}(\.\d{1,3})?$/.test(text)) throw refused(option, text, "it is not a number of seconds below 1,000,000");
  return Math.round(Number(text) * 1000);
}

function size(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const bytes = parseBytes(text);
  if (bytes === undefined) throw refused(option, text, 'it is not a size such as "2GiB"');
  return bytes;
}

function refused(option: string, text: string, reason: string): AmalgamError {
  return new AmalgamError("usage", `Cannot use ${quote(text)} for "${option}": ${reason}`);
}

/** An address to listen on that means "all of them". */
function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || /^[0:]+$/.test(host);
}

/** Without the keys that have no value. */
function defined<T extends object>(object: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [Key in keyof T]?: Exclude<T[Key], undefined> };
}

/** Without a value these mean what only the moment tells. */
type Open = "ioBytesPerSecond" | "evalThreads" | "evalMemoryBytes" | "trialMemoryBytes" | "trialFolder";

export type CompleteSettings = Required<Omit<AgentSettings, Open>> & Pick<AgentSettings, Open>;

/** Settings with nothing left open, or what is wrong with them. */
export function completeSettings(settings: AgentSettings): CompleteSettings {
  const complete = {
    roots: settings.roots,
    host: settings.host ?? defaults.host,
    port: settings.port ?? defaults.port,
    slots: settings.slots ?? defaults.slots(),
    memoryBytes: settings.memoryBytes ?? defaults.memoryBytes,
    name: settings.name ?? defaults.name(),
    providers: settings.providers ?? defaults.providers,
    agentsHere: settings.agentsHere ?? 1,
    ...defined({
      ioBytesPerSecond: settings.ioBytesPerSecond,
      evalThreads: settings.evalThreads,
      evalMemoryBytes: settings.evalMemoryBytes,
      trialMemoryBytes: settings.trialMemoryBytes,
      trialFolder: settings.trialFolder,
    }),
  };
  if (complete.roots.length === 0)
    throw new AmalgamError("usage", 'Cannot start an agent without a root: give "--root DIR"');
  between("port", complete.port, 0, 65_535);
  between("number of slots", complete.slots, 1, maxSlots);
  between("number of agents", complete.agentsHere, 1, maxSlots);
  between("memory size", complete.memoryBytes, minMemoryBytes, Number.MAX_SAFE_INTEGER);
  between("length of a name", complete.name.length, 1, maxNameLength);
  if (complete.ioBytesPerSecond !== undefined) {
    between("limit in bytes per second", complete.ioBytesPerSecond, minIoBytesPerSecond, Number.MAX_SAFE_INTEGER);
  }
  if (complete.evalThreads !== undefined) between("number of threads", complete.evalThreads, 1, maxSlots);
  if (complete.evalMemoryBytes !== undefined) {
    between("memory size for models", complete.evalMemoryBytes, minMemoryBytes, Number.MAX_SAFE_INTEGER);
  }
  if (complete.trialMemoryBytes !== undefined) {
    between("memory size for trials", complete.trialMemoryBytes, 0, Number.MAX_SAFE_INTEGER);
  }
  return complete;
}

function between(what: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new AmalgamError("usage", `Cannot start an agent: a ${what} of ${value} is not between ${least} and ${most}`);
}
