import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import { assertSuccessor, type CredentialFiles, type Credentials, identityIn, isSame, readAll } from "./credentials.js";
import type { Identity } from "./identity.js";

/** Something about the files that people should know. */
export interface TlsNotice {
  readonly level: "info" | "warning";
  readonly type: "tls reloaded" | "tls kept" | "certificate expires";
  readonly message: string;
}

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
    this.#identity = identityIn(credentials, files);
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
    const identity = identityIn(credentials, this.files);
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

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}
