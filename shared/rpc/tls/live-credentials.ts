import { createPrivateKey } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import { describeIdentity, type Identity, identityOf, parseCertificate } from "./identity.js";

/** What one end of a connection shows and whom it trusts. All PEM; `ca` may hold several certificates. */
export interface Credentials {
  readonly ca: Buffer;
  readonly certificate: Buffer;
  readonly key: Buffer;
}

export interface CredentialFiles {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** Something about the files that people should know. */
export interface TlsNotice {
  readonly level: "info" | "warning";
  readonly type: "tls reloaded" | "tls kept" | "certificate expires";
  readonly message: string;
}

/** A certificate, its chain and a bundle of authorities are a few kilobytes. */
const maxFileBytes = 1 << 20;
const pollMs = 2_000;
const dayMs = 24 * 60 * 60_000;
/** Who has so much of the certificate's life left is told to renew it; of one for longer than two weeks, in its last week. */
const lastPart = 0.2;
const longMs = 14 * dayMs;
const lastMs = 7 * dayMs;

/**
 * Credentials that follow their files: what is renewed on disk is used for connections from then on, and running ones go on
 * as they are. Files that do not fit together, as in the middle of a renewal, change nothing.
 *
 * The files are looked at every two seconds once somebody has listened, and when {@link reload} is called. They are read whole:
 * they are small, and times of files do not tell all changes.
 */
export class LiveCredentials {
  readonly files: CredentialFiles | undefined;
  readonly #listeners = new Set<() => void>();
  readonly #watchers = new Set<(notice: TlsNotice) => void>();
  #current: Credentials;
  #identity: Identity;
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> | undefined;
  /** Seen at the last look and not taken. */
  #refused: Credentials | string | undefined;
  #said: string | undefined;
  #warnedOn: string | undefined;

  constructor(credentials: Credentials, files: CredentialFiles | undefined) {
    this.files = files;
    this.#current = credentials;
    this.#identity = check(credentials, files);
  }

  get current(): Credentials {
    return this.#current;
  }

  /** Of our own certificate. */
  get identity(): Identity {
    return this.#identity;
  }

  /** Called when {@link current} is another one. Returns what ends that. */
  onChange(listener: () => void): () => void {
    return this.#listen(this.#listeners, listener);
  }

  /** Called for what people should know, once each; expiry once a day. Returns what ends that. */
  onNotice(watcher: (notice: TlsNotice) => void): () => void {
    const stop = this.#listen(this.#watchers, watcher);
    this.#lookAtExpiry();
    return stop;
  }

  /** Looks at the files now. Never fails: what is wrong is a notice. */
  reload(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<void> {
    if (this.files === undefined) return;
    let found: Credentials | undefined;
    try {
      found = await readAll(this.files);
      if (isSame(found, this.#current)) {
        this.#refused = undefined;
        this.#said = undefined;
      } else {
        this.#take(found);
      }
    } catch (reason) {
      this.#keep(found, AmalgamError.from(reason));
    }
    this.#lookAtExpiry();
  }

  #take(credentials: Credentials): void {
    const before = this.#identity;
    const identity = check(credentials, this.files);
    assertSuccessor(identity, before, this.files);
    this.#identity = identity;
    this.#current = credentials;
    this.#refused = undefined;
    this.#said = undefined;
    const { name, serial, validTo } = identity;
    const what = serial === before.serial ? "other authorities" : `serial ${serial}, valid until ${dayOf(validTo)}`;
    this.#tell({ level: "info", type: "tls reloaded", message: `Uses the new TLS files of ${quote(name)}: ${what}` });
    for (const listener of [...this.#listeners]) listener();
  }

  /** Files are replaced one after the other: what is wrong is told when it is still so at the next look. */
  #keep(found: Credentials | undefined, error: AmalgamError): void {
    const before = this.#refused;
    this.#refused = found ?? error.message;
    const isOld = typeof before === "object" && found !== undefined ? isSame(before, found) : before === this.#refused;
    if (!isOld || this.#said === error.message) return;
    this.#said = error.message;
    this.#tell({ level: "warning", type: "tls kept", message: `${error.message}; what was read before stays in use` });
  }

  #lookAtExpiry(): void {
    const now = Date.now();
    const { name, validFrom, validTo } = this.#identity;
    const leftMs = validTo.getTime() - now;
    const lifeMs = validTo.getTime() - validFrom.getTime();
    if (leftMs > Math.max(lastPart * lifeMs, lifeMs > longMs ? lastMs : 0)) return;
    const today = `${dayOf(new Date(now))} ${this.#identity.serial}`;
    if (this.#watchers.size === 0 || this.#warnedOn === today) return;
    this.#warnedOn = today;
    const file = this.files === undefined ? "" : ` in ${quote(this.files.certificate)}`;
    const when = leftMs <= 0 ? "expired" : `expires in ${(leftMs / dayMs).toFixed(1)} days,`;
    const message = `The certificate of ${quote(name)}${file} ${when} on ${validTo.toISOString()}: put a new one in its place, as amalgam certs --renew does; it is used without a restart`;
    this.#tell({ level: "warning", type: "certificate expires", message });
  }

  #tell(notice: TlsNotice): void {
    for (const watcher of [...this.#watchers]) watcher(notice);
  }

  #listen<T>(listeners: Set<T>, listener: T): () => void {
    listeners.add(listener);
    if (this.files !== undefined) this.#timer ??= setInterval(() => void this.reload(), pollMs).unref();
    // It goes on: the next connection may be made days later, and has to be made with what the files hold then.
    return () => void listeners.delete(listener);
  }
}

/** Whose certificate it is. Fails with `usage` where the three do not fit together, or the certificate has expired. */
function check({ ca, certificate, key }: Credentials, files: CredentialFiles | undefined): Identity {
  const named = (what: string, file: string | undefined): string => (file ? `${what} ${quote(file)}` : what);
  const own = parseCertificate(certificate, named("certificate", files?.certificate));
  parseCertificate(ca, named("authority", files?.ca));
  const pair = `${named("key", files?.key)} with ${named("certificate", files?.certificate)}`;
  let fits = false;
  try {
    fits = own.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    const problem = /ENCRYPTED/.test(String(key))
      ? "the key is encrypted; give it without a passphrase, readable to this user alone"
      : "the key is not a private key in PEM";
    throw new AmalgamError("usage", `Cannot use ${pair}: ${problem}`, { cause });
  }
  if (!fits) throw new AmalgamError("usage", `Cannot use ${pair}: the key is of another certificate`);
  const identity = identityOf(own);
  if (identity.validTo.getTime() <= Date.now()) {
    const expired = `it expired on ${identity.validTo.toISOString()}; renew it, as amalgam certs --renew does`;
    throw new AmalgamError("usage", `Cannot use ${named("certificate", files?.certificate)}: ${expired}`);
  }
  try {
    createSecureContext({ ca, cert: certificate, key });
  } catch (reason) {
    const { message } = AmalgamError.from(reason);
    throw new AmalgamError("usage", `Cannot use ${pair}: ${message}`, { cause: reason });
  }
  return identity;
}

/** Whoever is known by one name and begins to show another is refused by all, as is a certificate that is not valid yet. */
function assertSuccessor(next: Identity, before: Identity, files: CredentialFiles | undefined): void {
  const isSameHolder =
    next.name === before.name &&
    next.cluster === before.cluster &&
    before.roles.every((role) => next.roles.includes(role));
  const act = `Cannot use certificate ${quote(files?.certificate ?? "")}`;
  if (!isSameHolder) {
    const who = `it is of ${describeIdentity(next)}, and this is ${describeIdentity(before)}`;
    throw new AmalgamError("usage", `${act}: ${who}; start anew to be somebody else`);
  }
  if (next.serial === before.serial || next.validFrom.getTime() <= Date.now()) return;
  throw new AmalgamError("usage", `${act}: it counts from ${next.validFrom.toISOString()}, which is to come`);
}

async function readAll({ ca, certificate, key }: CredentialFiles): Promise<Credentials> {
  const [a, b, c] = await Promise.all([ca, certificate, key].map(readSmall));
  if (a === undefined || b === undefined || c === undefined) throw new TypeError("Three files are read");
  return { ca: a, certificate: b, key: c };
}

async function readSmall(file: string): Promise<Buffer> {
  try {
    const { size } = await stat(file);
    if (size > maxFileBytes) throw new Error(`it has ${size} bytes, at most ${maxFileBytes} are allowed`);
    return await readFile(file);
  } catch (cause) {
    throw new AmalgamError("usage", `Cannot read TLS file ${quote(file)}: ${AmalgamError.from(cause).message}`, {
      cause,
    });
  }
}

function isSame(one: Credentials, other: Credentials): boolean {
  return (["ca", "certificate", "key"] as const).every((part) => Buffer.compare(one[part], other[part]) === 0);
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}
