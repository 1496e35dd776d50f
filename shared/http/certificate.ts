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

const lookMs = 10_000;

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

/**
 * Looks at the files every ten seconds and tells of others that fit together. Times of files do not tell all changes, so
 * they are read. Returns what ends that.
 */
export function followFiles(files: CertificateFiles, onChange: (renewed: HttpTls) => void, log: Log): () => void {
  let seen: string | undefined;
  const look = async (): Promise<void> => {
    const [certificate, key] = await Promise.all([readFile(files.certificate), readFile(files.key)]);
    const text = `${certificate}${key}`;
    const isFirst = seen === undefined;
    if (text === seen) return;
    // In the middle of a renewal they do not fit together, and are looked at again.
    createSecureContext({ cert: certificate, key });
    seen = text;
    if (isFirst) return;
    onChange({ certificate, key });
    log.info(`HTTP shows the new certificate of ${quote(files.certificate)}`);
  };
  const lookQuietly = (): void => void look().catch(() => undefined);
  lookQuietly();
  const timer = setInterval(lookQuietly, lookMs);
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
