import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { AmalgamError } from "../errors.js";
import type { Log } from "../log/log.js";
import { quote } from "../quote.js";
import type { HttpTls } from "./server.js";

export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

const defaultLookMs = 10_000;

/** Fails with `usage` where a file cannot be read, or the two do not fit together. */
export function readCertificate({ certificate, key }: CertificateFiles): HttpTls {
  const read = { certificate: readPem(certificate), key: readPem(key) };
  try {
    createSecureContext({ cert: read.certificate, key: read.key });
  } catch (error) {
    const { message } = AmalgamError.from(error);
    throw new AmalgamError("usage", `Cannot use TLS files ${quote(certificate)} and ${quote(key)}: ${message}`, {
      cause: error,
    });
  }
  return read;
}

export interface FollowOptions {
  /** Hears of another pair that fits together. */
  readonly onChange: (renewed: HttpTls) => void;
  readonly log: Log;
  /** @default 10 seconds */
  readonly lookMs?: number;
}

/**
 * Looks at the files again and again, and tells of others than those that are `shown`. Times of files do not tell all
 * changes, so they are read. Returns what ends that.
 */
export function followFiles(files: CertificateFiles, shown: HttpTls, options: FollowOptions): () => void {
  const { onChange, log, lookMs = defaultLookMs } = options;
  const name = quote(files.certificate);
  let current = shown;
  let isLooking = false;
  let problem: string | undefined;
  let told: string | undefined;
  const look = async (): Promise<void> => {
    const [certificate, key] = await Promise.all([readFile(files.certificate), readFile(files.key)]);
    if (certificate.equals(current.certificate) && key.equals(current.key)) return;
    createSecureContext({ cert: certificate, key });
    current = { certificate, key };
    onChange(current);
    log.info(`HTTP shows the new certificate of ${name}`);
  };
  const lookAgain = async (): Promise<void> => {
    // Storage that hangs is not asked a second time.
    if (isLooking) return;
    isLooking = true;
    const before = problem;
    problem = await look().then(
      () => undefined,
      (error: unknown) => AmalgamError.from(error).message,
    );
    isLooking = false;
    // Files are replaced one after the other: what is wrong is told when it is still so at the next look.
    if (problem === undefined) told = undefined;
    else if (problem === before && problem !== told) {
      told = problem;
      log.warning(
        `HTTP goes on to show the certificate that it has, since ${name} and its key are of no use: ${problem}`,
      );
    }
  };
  const timer = setInterval(() => void lookAgain(), lookMs);
  timer.unref();
  return () => clearInterval(timer);
}

function readPem(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const { message } = AmalgamError.from(error);
    throw new AmalgamError("usage", `Cannot read TLS file ${quote(file)}: ${message}`, { cause: error });
  }
}
