import { maxMessageBytes } from "../channel.js";

/** What a gRPC server allows whoever connects to it. Healthy peers stay far below each of these. */
export const serverLimits = {
  /** In all. Then the one that has been idle for the longest time goes for a new one. */
  connections: 1_024,
  /** Of one address, likewise. A coordinator has one for each client, and one for each of its assembling threads. */
  connectionsPerAddress: 256,
  /** For the TLS handshake, the HTTP/2 preface, and the acknowledgement of our settings. */
  handshakeMs: 10_000,
  /** Of a connection without a call. Clients connect again when they have something to ask. */
  idleMs: 300_000,
  /** Calls at once, of all connections together. More are refused, and may be tried again. */
  calls: 8_192,
  /** How long a request may take to come that comes slower than {@link requestBytesPerSecond}. */
  requestMs: 10_000,
  /** Half of what HTTP/2's usual window of 64 KiB gives at a round trip of half a second. */
  requestBytesPerSecond: 64_000,
  /** How long a response may wait to be taken, of methods whose readers keep others waiting. */
  takeMs: 120_000,
  /**
   * The same of all other methods. A coordinator whose disk hangs may stand still: it ends an attempt itself after ten minutes and
   * a second per megabyte. Whoever takes nothing for longer holds a slot for nobody.
   */
  workTakeMs: 900_000,
  /** One message and what frames it, of whatever method. */
  requestBytes: maxMessageBytes + 1_024,
  /** Requests of all calls that are open, besides those that slots can work on. Then the greediest connection's go. */
  heldBytes: 128 << 20,
  /** Pings, new settings, and calls taken back before they are asked, within {@link controlWindowMs}: clients ping every few seconds. */
  controlFrames: 500,
  controlWindowMs: 10_000,
} as const;

export type ServerLimits = { readonly [Name in keyof typeof serverLimits]: number };
