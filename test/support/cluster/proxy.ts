import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface ProxyOptions {
  /** How long bytes are on their way, each way. @default 0 */
  readonly delayMs?: number;
  /** Sees what comes from the server before it goes on, in place. @default nothing is done to it */
  readonly tamper?: (bytes: Buffer) => void;
}

export interface LinkProxy extends AsyncDisposable {
  readonly address: string;
  /** The most bytes that ever were on their way from the server at once. */
  readonly mostInFlight: number;
  /** The port on this machine's loopback that it leads to. */
  leadTo(port: number): void;
}

/** A link of TCP on loopback that takes its time, or damages what it carries. It never makes either end wait. */
export async function startProxy({ delayMs = 0, tamper }: ProxyOptions): Promise<LinkProxy> {
  const sockets = new Set<Socket>();
  let [target, inFlight, most] = [0, 0, 0];
  const carry = (from: Socket, to: Socket, isFromServer: boolean): void => {
    from.on("data", (bytes: Buffer) => {
      if (isFromServer) {
        tamper?.(bytes);
        inFlight += bytes.length;
        most = Math.max(most, inFlight);
      }
      setTimeout(() => {
        if (isFromServer) inFlight -= bytes.length;
        if (to.writable) to.write(bytes);
      }, delayMs);
    });
    from.on("error", () => to.destroy());
    from.on("close", () => setTimeout(() => to.destroy(), delayMs));
    sockets.add(from);
  };
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    carry(client, upstream, false);
    carry(upstream, client, true);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("A TCP server has a port");
  return {
    address: `127.0.0.1:${bound.port}`,
    get mostInFlight() {
      return most;
    },
    leadTo: (port) => {
      target = port;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** A length of 16 KiB, as HTTP/2 divides long messages; type DATA. */
const fullData = Buffer.from([0x00, 0x40, 0x00, 0x00]);

/** Flips a bit in the middle of a long message's data now and then, `times` altogether. Frames stay what they are. */
export function bitFlipper(times: number): { readonly tamper: (bytes: Buffer) => void; readonly flipped: number } {
  let [flipped, frames] = [0, 0];
  return {
    get flipped() {
      return flipped;
    },
    tamper: (bytes) => {
      for (let at = bytes.indexOf(fullData); at >= 0; at = bytes.indexOf(fullData, at + 1)) {
        const middle = at + 8_000;
        if (middle >= bytes.length) return;
        frames += 1;
        if (frames % 20 !== 10 || flipped === times) continue;
        bytes[middle] = (bytes[middle] ?? 0) ^ 0x10;
        flipped += 1;
      }
    },
  };
}
