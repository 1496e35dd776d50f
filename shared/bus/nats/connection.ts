import { setMaxListeners } from "node:events";
import { connect, headers, type Msg, type NatsConnection, NatsError } from "nats";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import { DialedSockets } from "./dialed-sockets.js";
import type { Settings } from "./options.js";

/**
 * A connection that comes back by itself, and requests over it. Every failure is `bus_failed`; `details.nats` has what
 * the server or the client called it, such as `10071` or `TIMEOUT`.
 */
export class Connection implements AsyncDisposable {
  readonly nats: NatsConnection;
  readonly settings: Settings;
  readonly #listeners = new Set<(isConnected: boolean) => void>();
  readonly #closing = new AbortController();
  #isConnected = true;

  readonly #sockets: DialedSockets;

  private constructor(nats: NatsConnection, settings: Settings, sockets: DialedSockets) {
    this.nats = nats;
    this.settings = settings;
    this.#sockets = sockets;
    // Every request that waits for the server listens to it.
    setMaxListeners(0, this.#closing.signal);
    void this.#observe();
  }

  /** Fails if the server cannot be reached now; from then on absences are waited out. */
  static async open(settings: Settings): Promise<Connection> {
    const sockets = new DialedSockets(settings.ports);
    try {
      return new Connection(await sockets.during(() => connect(settings.client)), settings, sockets);
    } catch (error) {
      sockets.closeAll();
      const { word, reason } = understand(error, settings);
      throw new AmalgamError(
        "bus_failed",
        `Cannot connect to NATS at ${quote(settings.shownUrl)}: ${reason}; see that nats-server runs there and takes these credentials`,
        { details: { url: settings.shownUrl, nats: word } },
      );
    }
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Aborted when the connection is given up. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  onConnection(listener: (isConnected: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Resolves when the server is reached, after `timeoutMs`, or as soon as the signal is aborted: look afterwards. */
  async reached(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    if (this.#isConnected || signal?.aborted || this.closing.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        stop();
        signal?.removeEventListener("abort", done);
        this.closing.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      const stop = this.onConnection(done);
      signal?.addEventListener("abort", done);
      this.closing.addEventListener("abort", done);
    });
  }

  /**
   * One question, one answer, within the time of one operation. `act` is for the error: `read "jobs.a"`. While the
   * server is away it waits for it rather than ask the void, which the client would do.
   */
  async request(
    act: string,
    subject: string,
    body: string,
    fields: Readonly<Record<string, string>> = {},
  ): Promise<Msg> {
    const deadline = performance.now() + this.settings.timeoutMs;
    await this.reached(this.settings.timeoutMs);
    const timeout = deadline - performance.now();
    if (!this.#isConnected || timeout <= 0) {
      const reason = this.closing.aborted ? "the connection was closed" : "it is not reached";
      throw this.failure(act, reason, "DISCONNECT");
    }
    try {
      const head = headers();
      for (const [name, value] of Object.entries(fields)) head.set(name, value);
      return await this.nats.request(subject, body, {
        timeout,
        ...(Object.keys(fields).length > 0 ? { headers: head } : {}),
      });
    } catch (error) {
      const { word, reason } = understand(error, this.settings);
      throw this.failure(act, reason, word, error);
    }
  }

  failure(act: string, reason: string, word: string, cause?: unknown): AmalgamError {
    const { shownUrl } = this.settings;
    return new AmalgamError("bus_failed", `Cannot ${act} in NATS at ${quote(shownUrl)}: ${reason}`, {
      cause,
      details: { url: shownUrl, nats: word },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    // What was appended and not yet sent goes out, unless the server is away.
    if (this.#isConnected) {
      const patience = new Promise((resolve) => setTimeout(resolve, this.settings.timeoutMs).unref());
      await Promise.race([this.nats.flush().catch(() => {}), patience]);
    }
    await this.nats.close();
    this.#sockets.closeAll();
    this.#say(false);
    this.#listeners.clear();
  }

  async #observe(): Promise<void> {
    for await (const { type } of this.nats.status()) {
      if (type === "disconnect") this.#say(false);
      if (type === "reconnect") this.#say(true);
    }
    this.#say(false);
  }

  #say(isConnected: boolean): void {
    if (this.#isConnected === isConnected) return;
    this.#isConnected = isConnected;
    for (const listener of [...this.#listeners]) listener(isConnected);
  }
}

/** What the server does not let its user do. A configuration for each role is in `deploy/nats/`. */
function forbidden({ permissionContext }: NatsError, who: string): string {
  const { operation = "use", subject = "some subject" } = permissionContext ?? {};
  const act = operation === "subscription" ? "subscribe to" : operation === "publish" ? "publish to" : operation;
  return `its permissions do not let ${who} ${act} ${quote(subject)}`;
}

/** The client's words for what people meet, without what it was given: an error must not show a password. */
function understand(error: unknown, { role, user }: Settings): { readonly word: string; readonly reason: string } {
  if (!(error instanceof NatsError)) {
    const { message } = AmalgamError.from(error);
    return { word: (error as NodeJS.ErrnoException | undefined)?.code ?? "unknown", reason: message };
  }
  const { code } = error;
  const reasons: Readonly<Record<string, string>> = {
    "503": "nobody answers: JetStream is not enabled (nats-server -js), or its data is gone",
    TIMEOUT: "no answer in time",
    CONNECTION_REFUSED: "connection refused",
    CONNECTION_CLOSED: "the connection was closed",
    AUTHORIZATION_VIOLATION: "the server refuses these credentials",
    SERVER_OPT_NA: "the server does not offer TLS",
    AUTHENTICATION_EXPIRED: "the credentials have expired",
    PERMISSIONS_VIOLATION: forbidden(error, user === undefined ? `${role}s` : `user ${quote(user)} (${role})`),
  };
  return { word: code, reason: reasons[code] ?? error.message };
}
