import type { X509Certificate } from "node:crypto";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import {
  assertSuccessor,
  type CredentialFiles,
  type Credentials,
  identityIn,
  isSame,
  isSameList,
  readAll,
  revocationsIn,
} from "./credentials.js";
import type { Identity } from "./identity.js";
import { dayOf, remindersOf, type TlsNotice } from "./reminders.js";
import { describeRevocation, type Revocations } from "./revocation-list.js";

export type { TlsNotice } from "./reminders.js";

const pollMs = 2_000;

/**
 * Credentials that follow their files: what is renewed on disk is used for connections from then on, and running ones go on
 * as they are, but for those of peers that are revoked. Files that do not fit together, as in the middle of a renewal, change
 * nothing; a revocation list that cannot be believed holds up nothing but itself.
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
  #revocations: Revocations;
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> | undefined;
  /** Seen at the last look and not taken. */
  #refused: Credentials | string | undefined;
  #said: string | undefined;
  /** A list that cannot be believed, with its authorities, and why. */
  #unbelieved: { readonly credentials: Credentials; readonly reason: unknown } | undefined;
  /** Kinds of reminders, with the day and the certificate that they were for. */
  readonly #reminded = new Map<TlsNotice["type"], string>();

  constructor(credentials: Credentials, files: CredentialFiles | undefined) {
    this.files = files;
    this.#current = credentials;
    this.#identity = identityIn(credentials, files);
    this.#revocations = revocationsIn(credentials, files);
  }

  get current(): Credentials {
    return this.#current;
  }

  /** Of our own certificate. */
  get identity(): Identity {
    return this.#identity;
  }

  /**
   * Why a peer's certificate does not count any more, for messages; undefined: it is on no list, and neither are those of the
   * authorities above it, which follow it.
   */
  revocationOf(...chain: readonly X509Certificate[]): string | undefined {
    for (const [index, certificate] of chain.entries()) {
      const on = this.#revocations.revokedOn(certificate);
      if (on === undefined) continue;
      return describeRevocation(
        index === 0 ? "its certificate" : "its authority's certificate",
        certificate,
        on,
        this.files?.crl,
      );
    }
    return undefined;
  }

  /** Called when {@link current} is another one. Returns what ends that. */
  onChange(listener: () => void): () => void {
    return this.#listen(this.#listeners, listener);
  }

  /** Called for what people should know, once each; expiry once a day. Returns what ends that. */
  onNotice(watcher: (notice: TlsNotice) => void): () => void {
    const stop = this.#listen(this.#watchers, watcher);
    this.#remind();
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
      if (found !== undefined) this.#takeAllButList(found);
    }
    this.#remind();
  }

  #take(credentials: Credentials): void {
    const before = this.#identity;
    const identity = identityIn(credentials, this.files);
    assertSuccessor(identity, before, this.files);
    const revocations = this.#revocationsIn(credentials);
    const isOtherList = !isSame(this.#current, { ...this.#current, crl: credentials.crl });
    this.#identity = identity;
    this.#revocations = revocations;
    this.#current = credentials;
    this.#refused = undefined;
    this.#said = undefined;
    const { name, serial, validTo } = identity;
    const parts = [
      ...(serial === before.serial ? [] : [`serial ${serial}, valid until ${dayOf(validTo)}`]),
      ...(isOtherList ? [`a list of ${revocations.entries.length} revoked certificates`] : []),
    ];
    const what = parts.length === 0 ? "other authorities" : parts.join(", ");
    this.#tell({ level: "info", type: "tls reloaded", message: `Uses the new TLS files of ${quote(name)}: ${what}` });
    for (const listener of [...this.#listeners]) listener();
  }

  /** Otherwise a certificate would end, although it has been renewed in time. */
  #takeAllButList(found: Credentials): void {
    const rest = { ...found, crl: this.#current.crl };
    if (isSame(rest, found) || isSame(rest, this.#current)) return;
    try {
      this.#take(rest);
    } catch {
      // What is wrong is not, or not only, the list: it has been told.
    }
  }

  /** A long list takes most of a second to read, and the files are looked at every two: none is read twice in a row. */
  #revocationsIn(credentials: Credentials): Revocations {
    if (isSameList(credentials, this.#current)) return this.#revocations;
    if (this.#unbelieved && isSameList(credentials, this.#unbelieved.credentials)) throw this.#unbelieved.reason;
    try {
      return revocationsIn(credentials, this.files);
    } catch (reason) {
      this.#unbelieved = { credentials, reason };
      throw reason;
    }
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

  #remind(): void {
    if (this.#watchers.size === 0) return;
    const now = Date.now();
    const today = `${dayOf(new Date(now))} ${this.#identity.serial}`;
    const state = { current: this.#current, identity: this.#identity, revocations: this.#revocations };
    for (const notice of remindersOf({ ...state, files: this.files }, now)) {
      if (this.#reminded.get(notice.type) === today) continue;
      this.#reminded.set(notice.type, today);
      this.#tell(notice);
    }
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
