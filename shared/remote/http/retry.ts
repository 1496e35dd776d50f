import { sleep, systemClock } from "../../clock.js";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import type { Patience } from "../remote-store.js";
import { tellTraffic } from "../traffic.js";
import { shown } from "../url.js";

interface TryAgainOptions {
  readonly afterMs?: number | undefined;
  readonly isHopeless?: boolean;
  readonly cause?: unknown;
}

/** Tries with little hope. */
const hopelessTries = 3;

/** A try that failed in a way that another need not. Its message is the middle of a sentence about the server. */
export class TryAgain extends Error {
  /** What the server asked for; undefined: the usual delay. */
  readonly afterMs: number | undefined;
  /** Whether it will most likely fail again: a person who waits wants to know soon. */
  readonly isHopeless: boolean;

  constructor(why: string, options: TryAgainOptions = {}) {
    super(why, options.cause === undefined ? {} : { cause: options.cause });
    this.afterMs = options.afterMs;
    this.isHopeless = options.isHopeless ?? false;
  }
}

/** A failure that is not the server's, so that no try can help: it is thrown as it is. */
export class GiveUp extends Error {
  constructor(cause: unknown) {
    super("Whoever reads has failed", { cause });
  }
}

export interface Trying {
  readonly url: string;
  readonly patience: Patience;
  readonly signal: AbortSignal | undefined;
  /** Whether the try that just failed brought the work on, which makes up for all failures before it. */
  readonly hasProgressed?: () => boolean;
  /** Nothing was heard of the server before: that nothing listens there is most likely the address's fault. */
  readonly isFirst?: boolean;
}

/**
 * Does what may fail for a while, as often as it takes: after {@link TryAgain} and after failures of the connection.
 * Everything else ends it, and so do failures in a row, with `source_failed`.
 */
export async function withRetries<T>(work: () => Promise<T>, trying: Trying): Promise<T> {
  const { url, patience, signal, hasProgressed, isFirst = false } = trying;
  for (let failures = 0; ; ) {
    if (signal?.aborted) throw AmalgamError.from(signal.reason);
    tellTraffic(url, failures === 0 ? "request" : "retry");
    try {
      return await work();
    } catch (reason) {
      if (signal?.aborted) throw AmalgamError.from(signal.reason);
      if (reason instanceof AmalgamError) throw reason;
      if (reason instanceof GiveUp) throw reason.cause;
      const failed = reason instanceof TryAgain ? reason : connectionFailure(reason, { url, patience, isFirst });
      failures = hasProgressed?.() ? 1 : failures + 1;
      const tries = failed.isHopeless ? Math.min(hopelessTries, patience.tries) : patience.tries;
      if (failures >= tries) throw gaveUp(url, failed, failures);
      await sleep(systemClock, delayBefore(failures, failed.afterMs, patience), signal);
    }
  }
}

/** Milliseconds to wait after so many failures in a row, no less than the server asked for. `random` in [0, 1). */
export function delayBefore(
  failures: number,
  afterMs: number | undefined,
  { firstDelayMs, maxDelayMs, maxRetryAfterMs }: Patience,
  random = Math.random(),
): number {
  const full = Math.min(maxDelayMs, firstDelayMs * 2 ** (failures - 1));
  const usual = full * (1 - random / 2);
  return Math.max(usual, Math.min(afterMs ?? 0, maxRetryAfterMs));
}

/** `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3); undefined: neither. */
export function parseRetryAfter(text: string | undefined, now = Date.now()): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text.trim())) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function gaveUp(url: string, failed: TryAgain, failures: number): AmalgamError {
  const times = failures === 1 ? "" : `, ${failures} times in a row`;
  return new AmalgamError("source_failed", `Cannot read ${quote(shown(url))}: ${failed.message}${times}`, {
    cause: failed,
    details: { file: shown(url) },
  });
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens at its address",
  EAI_AGAIN: "the name of its host cannot be looked up",
  EHOSTUNREACH: "its host cannot be reached",
  ENETUNREACH: "its network cannot be reached",
  ECONNRESET: "the connection was cut",
  EPIPE: "the connection was cut",
  UND_ERR_SOCKET: "the connection was cut",
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "the connection was cut",
  UND_ERR_HEADERS_OVERFLOW: "its answer's headers are too large",
  UND_ERR_ABORTED: "the proxy on the way does not let us through",
  EPROTO: "it does not speak TLS there",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS there",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "it does not speak TLS there",
};
/** What will most likely fail again, whoever is asked. */
const hopeless = /^(?:UND_ERR_ABORTED|EPROTO|ERR_SSL_.*|HPE_INVALID_CONSTANT)$/;
const garbled = /^(?:HPE_.*|HTTP_PARSER)$/;
const silent = /^(?:UND_ERR_(?:CONNECT|HEADERS|BODY)_TIMEOUT|ETIMEDOUT)$/;
const distrusted = /CERT|SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET_ISSUER)/;
/** Certificates that another authority would not help. */
const badCertificates: Readonly<Record<string, string>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host: check the address",
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet: check this machine's clock",
};

/** Messages of the network's libraries name what they like, so of what they say only the code is passed on. */
function connectionFailure(
  reason: unknown,
  { url, patience: { stallMs, connectMs }, isFirst }: Pick<Trying, "url" | "patience" | "isFirst">,
): TryAgain {
  const code = codeOf(reason);
  if (code === undefined) throw reason;
  if (distrusted.test(code)) {
    const problem =
      badCertificates[code] ??
      `its certificate is not trusted (${code}); name the file of its authority's certificate in NODE_EXTRA_CA_CERTS`;
    throw new AmalgamError("source_refused", `Cannot read ${quote(shown(url))}: ${problem}`, {
      cause: reason,
      details: { file: shown(url) },
    });
  }
  if (code === "UND_ERR_DESTROYED" || code === "UND_ERR_CLOSED") {
    throw new AmalgamError("canceled", `Cannot go on with ${quote(shown(url))}: its reader was closed`);
  }
  if (code === "ENOTFOUND") {
    const { hostname } = reason as { hostname?: string };
    return new TryAgain(`there is no host ${quote(hostname ?? "")}`, { isHopeless: true, cause: reason });
  }
  if (silent.test(code)) {
    const ms = code === "UND_ERR_CONNECT_TIMEOUT" ? connectMs : stallMs;
    return new TryAgain(`its server was silent for ${ms / 1000} s`, { cause: reason });
  }
  const isHopeless = hopeless.test(code) || (isFirst === true && code === "ECONNREFUSED");
  return new TryAgain(reasonOf(code), { isHopeless, cause: reason });
}

function reasonOf(code: string): string {
  if (garbled.test(code)) return `what it answers is no HTTP (${code})`;
  return reasons[code] ?? `the connection to its server failed (${code})`;
}

function codeOf(reason: unknown): string | undefined {
  if (!(reason instanceof Error)) return undefined;
  // Several addresses of one host failed, all for much the same reason.
  if (reason instanceof AggregateError) return codeOf(reason.errors[0]);
  const { code } = reason as NodeJS.ErrnoException;
  if (typeof code === "string" && !code.startsWith("ERR_INVALID") && !code.startsWith("UND_ERR_INVALID")) return code;
  // A parser's of HTTP have no code of their own kind.
  return reason.name === "HTTPParserError" ? "HTTP_PARSER" : undefined;
}
