import type { EventEmitter } from "node:events";
import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Server } from "@grpc/grpc-js";
import { formatAddress } from "../channel.js";
import type { Refusal } from "../tls/server-credentials.js";
import { Call, Calls } from "./calls.js";
import { Connection, Connections } from "./connections.js";
import { type ServerLimits, serverLimits } from "./limits.js";

export interface GuardOptions {
  /** What is not said is as in {@link serverLimits}. */
  readonly limits?: Partial<ServerLimits>;
  /**
   * Methods whose readers keep others waiting, and so have `takeMs` to take a response; those of all others have `workTakeMs`.
   * @default none
   */
  readonly keepsOthersWaiting?: (method: string) => boolean;
  /** Hears of every connection and call that is ended for a limit. */
  readonly onRefused?: ((refusal: Refusal) => void) | undefined;
}

const sweepMs = 1_000;

/**
 * Holds those who connect to a server to {@link serverLimits}: whoever floods it, or stands around, does not keep others from
 * it. Call it when the server is bound.
 *
 * grpc-js limits messages and streams of one connection and nothing else, so its HTTP/2 servers are listened to. They are
 * its own business: a version that keeps them elsewhere is refused with a `TypeError`, rather than served without limits.
 */
export function guardServer(server: Server, options: GuardOptions = {}): void {
  const { http2Servers } = server as unknown as { readonly http2Servers?: ReadonlyMap<EventEmitter, unknown> };
  if (!(http2Servers instanceof Map))
    throw new TypeError("Cannot guard a gRPC server that does not tell its HTTP/2 servers");
  const limits = { ...serverLimits, ...options.limits };
  const guard = new Guard(limits, options);
  for (const http2Server of http2Servers.keys() as Iterable<EventEmitter>) guard.watch(http2Server);
}

class Guard {
  readonly #limits: ServerLimits;
  readonly #onRefused: (refusal: Refusal) => void;
  readonly #keepsOthersWaiting: (method: string) => boolean;
  readonly #connections: Connections;
  readonly #calls: Calls;
  /** Milliseconds that this process has run, to a second: while it is stopped or busy, nobody can be too slow for it. */
  #now = 0;
  #sweptAt = performance.now();

  constructor(limits: ServerLimits, { onRefused, keepsOthersWaiting }: GuardOptions) {
    this.#limits = limits;
    this.#onRefused = onRefused ?? (() => undefined);
    this.#keepsOthersWaiting = keepsOthersWaiting ?? (() => false);
    this.#connections = new Connections(limits);
    this.#calls = new Calls(limits);
  }

  watch(http2Server: EventEmitter): void {
    // Before Node's own listener, which makes a session of a socket at once.
    http2Server.prependListener("connection", (socket: Socket) => this.#accept(socket));
    http2Server.on("session", (session: ServerHttp2Session) => this.#begin(session));
    // After grpc-js's, which has stopped the stream by now: to listen must not set it going.
    http2Server.on("stream", (stream: ServerHttp2Stream, headers: Record<string, unknown>) => {
      this.#follow(stream, String(headers[":path"]));
    });
    const sweeping = setInterval(() => this.#sweep(), sweepMs);
    sweeping.unref();
    http2Server.once("close", () => clearInterval(sweeping));
  }

  #sweep(): void {
    const at = performance.now();
    this.#now += Math.min(at - this.#sweptAt, 2 * sweepMs);
    this.#sweptAt = at;
    this.#connections.sweep(this.#now);
    this.#calls.sweep(this.#now);
  }

  #accept(socket: Socket): void {
    const peer = peerOf(socket);
    const connection = new Connection(peer, socket.remoteAddress ?? "", this.#now, (reason) => {
      if (connection.isEnding) return;
      connection.isEnding = true;
      if (reason !== undefined) this.#onRefused({ address: peer, reason });
      // Node is in the middle of accepting it.
      setImmediate(() => socket.destroy());
    });
    socket.once("close", () => this.#connections.remove(connection));
    // What breaks a socket that is ended here is nobody's business.
    socket.on("error", () => undefined);
    this.#connections.add(connection);
  }

  #begin(session: ServerHttp2Session): void {
    const connection = this.#connections.find(peerOf(session.socket));
    if (connection === undefined) return;
    session.once("localSettings", () => {
      connection.isReady = true;
    });
    session.on("ping", () => this.#count(connection));
    session.on("remoteSettings", () => this.#count(connection));
  }

  /** Something that costs more to hear than to say. */
  #count(connection: Connection): void {
    const { controlFrames, controlWindowMs } = this.#limits;
    if (connection.isEnding || connection.countFrame(this.#now, this.#limits)) return;
    const within = `${controlWindowMs / 1_000} seconds`;
    connection.end(
      `it pinged, changed its settings or took calls back more than ${controlFrames} times within ${within}`,
    );
  }

  #follow(stream: ServerHttp2Stream, method: string): void {
    const { session } = stream;
    const connection = session && this.#connections.find(peerOf(session.socket));
    // It is gone already.
    if (connection === undefined || stream.destroyed) return;
    const end = (reason: string): void => {
      this.#onRefused({ address: connection.peer, method, reason });
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    };
    const { takeMs, workTakeMs } = this.#limits;
    const call = new Call(connection, this.#now, end, {
      // grpc-js hands a stream one message after the other: what waits is of one that has not left.
      untaken: () => stream.writableLength,
      takeMs: this.#keepsOthersWaiting(method) ? takeMs : workTakeMs,
    });
    stream.on("drain", () => {
      call.waitingSince = undefined;
    });
    stream.once("close", () => {
      this.#calls.remove(call, this.#now);
      if (!call.isComplete) this.#count(connection);
    });
    stream.once("end", () => {
      call.isComplete = true;
    });
    this.#calls.add(call);
    stream.on("data", (data: Buffer) => this.#calls.grow(call, data.length));
  }
}

function peerOf({ remoteAddress, remotePort }: Pick<Socket, "remoteAddress" | "remotePort">): string {
  return formatAddress(remoteAddress ?? "", remotePort ?? 0);
}
