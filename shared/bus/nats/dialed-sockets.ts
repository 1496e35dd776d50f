import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";

/**
 * The sockets that a connection dialed. The client (2.29) gives up on a server that takes a connection and says nothing,
 * as a frozen one does, and dials again without closing what it gave up: one socket every two seconds, each of which
 * keeps the process from ending.
 */
export class DialedSockets {
  readonly #ports: ReadonlySet<number>;
  readonly #sockets = new Set<Socket>();

  /** `ports`: of the servers. */
  constructor(ports: readonly number[]) {
    this.#ports = new Set(ports);
  }

  /** Runs `dial`; sockets that are opened on its behalf, then and later, are known from here on. */
  during<T>(dial: () => T): T {
    return owners.run(this, dial);
  }

  add(socket: Socket): void {
    this.closeSilent();
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // Whatever is done about a message of the engine, such as connecting to an agent, is on its behalf, too.
    socket.once("connect", () => {
      if (!this.#ports.has(socket.remotePort ?? 0)) this.#sockets.delete(socket);
    });
  }

  /** A server speaks first, so a connection that has read nothing when the next one is dialed was given up. */
  closeSilent(): void {
    for (const socket of this.#sockets) if (!socket.connecting && socket.bytesRead === 0) socket.destroy();
  }

  closeAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Whoever dials, and all that follows from it, reconnecting included. */
const owners = new AsyncLocalStorage<DialedSockets>();

subscribe("net.client.socket", (message) => {
  const { socket } = message as { readonly socket: Socket };
  owners.getStore()?.add(socket);
});
