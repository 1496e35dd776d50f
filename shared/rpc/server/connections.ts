import type { ServerLimits } from "./limits.js";

/** What is known of a connection, from accepting to closing. */
export class Connection {
  /** The other side's `ip:port`. */
  readonly peer: string;
  /** Its IP address. */
  readonly address: string;
  readonly acceptedAt: number;
  /** Closes it, with the reason for whoever reads logs; without one nothing was wrong with it. */
  readonly end: (reason?: string) => void;
  isEnding = false;
  /** It has shaken hands, and has acknowledged our settings. */
  isReady = false;
  /** It has had a call. */
  isProven = false;
  calls = 0;
  /** When it was accepted, or its last call ended. */
  idleSince: number;
  #frames = 0;
  #framesSince: number;

  constructor(peer: string, address: string, now: number, end: (reason?: string) => void) {
    this.peer = peer;
    this.address = address;
    this.end = end;
    this.acceptedAt = now;
    this.idleSince = now;
    this.#framesSince = now;
  }

  /** Counts a frame that asks for an answer and carries nothing. False: it has been too many of late. */
  countFrame(now: number, { controlFrames, controlWindowMs }: ServerLimits): boolean {
    if (now - this.#framesSince > controlWindowMs) {
      this.#frames = 0;
      this.#framesSince = now;
    }
    this.#frames += 1;
    return this.#frames <= controlFrames;
  }
}

/**
 * Whom there is room for. A healthy peer always gets in: for a new connection an idle one goes, first of those that never had
 * a call, then the one that has had none for the longest time. One with a call never goes.
 */
export class Connections {
  readonly #limits: ServerLimits;
  /** By peer, in the order of accepting. */
  readonly #all = new Map<string, Connection>();

  constructor(limits: ServerLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#all.size;
  }

  find(peer: string): Connection | undefined {
    return this.#all.get(peer);
  }

  /** Takes a connection in, and ends others, or it itself, where there is no room. */
  add(connection: Connection): void {
    const { connections, connectionsPerAddress } = this.#limits;
    this.#all.set(connection.peer, connection);
    const staying = [...this.#all.values()].filter(({ isEnding }) => !isEnding);
    const neighbours = staying.filter(({ address }) => address === connection.address);
    if (neighbours.length > connectionsPerAddress) {
      this.#makeRoom(neighbours, connection, `its address has ${connectionsPerAddress} connections`);
    } else if (staying.length > connections) {
      this.#makeRoom(staying, connection, `there are ${connections} connections`);
    }
  }

  remove(connection: Connection): void {
    if (this.#all.get(connection.peer) === connection) this.#all.delete(connection.peer);
  }

  /** Ends those that take too long to shake hands, and those that have had nothing to say for a long time. */
  sweep(now: number): void {
    const { handshakeMs, idleMs } = this.#limits;
    for (const connection of this.#all.values()) {
      if (connection.isEnding) continue;
      if (!connection.isReady && now - connection.acceptedAt > handshakeMs) {
        connection.end(`it has not shaken hands within ${handshakeMs / 1_000} seconds`);
      } else if (connection.calls === 0 && now - connection.idleSince > idleMs) {
        connection.end();
      }
    }
  }

  #makeRoom(among: readonly Connection[], newest: Connection, full: string): void {
    const idle = among.filter((one) => one.calls === 0 && one !== newest);
    const last = (idle.some(({ isProven }) => !isProven) ? idle.filter(({ isProven }) => !isProven) : idle).reduce<
      Connection | undefined
    >((oldest, one) => (oldest === undefined || one.idleSince < oldest.idleSince ? one : oldest), undefined);
    if (last === undefined) newest.end(`${full}, and all of them are in use`);
    else last.end(`${full}, and it has been idle for the longest time`);
  }
}
