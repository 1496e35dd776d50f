import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { thisBoot } from "./this-boot.js";

// Whether a process lives is not to be told by its number: that is given again, and in every container the first is 1. A
// socket that it listens on is closed with it, however it ends, and whoever sees the folder can ask.

const socketName = ".alive";

/** What sun_path takes on every system, see unix(7). */
const maxSocketPathBytes = 103;

/** In the names of folders: sockets of another boot may be another machine's, whose processes cannot be asked. */
const bootTag = createHash("sha256").update(thisBoot()).digest("hex").slice(0, 8);

/** The socket in a folder of this boot whose name an {@link OwnFolder} has; undefined for all others. */
export function socketOf(parent: string, name: string, prefix: string): string | undefined {
  if (!name.startsWith(prefix)) return undefined;
  const [, boot] = /^\d+-([0-9a-f]{8})-[0-9a-f]{12}(\.new)?$/.exec(name.slice(prefix.length)) ?? [];
  const path = join(parent, name, socketName);
  return boot === bootTag && Buffer.byteLength(path) <= maxSocketPathBytes ? path : undefined;
}

/** Whether a folder of that name is still being made, or was when its process was killed. */
export function isBegun(name: string): boolean {
  return name.endsWith(".new");
}

/** A folder that ends with this process, or before. When the process is killed, `removeOrphans()` of a later one removes it. */
export class OwnFolder implements Disposable {
  readonly path: string;
  readonly #server: Server | undefined;

  /** Makes it, for this user alone. Where its path is too long for a socket, nobody will know it for an orphan. */
  constructor(parent: string, prefix: string) {
    const name = `${prefix}${process.pid}-${bootTag}-${randomBytes(6).toString("hex")}`;
    // Under another name, so that nobody sees it before the socket is there, and the socket's file outlives the socket.
    const begun = `${name}.new`;
    const socket = socketOf(parent, begun, prefix);
    mkdirSync(join(parent, begun), { mode: 0o700 });
    if (socket !== undefined) {
      this.#server = createServer((peer) => peer.destroy());
      // A file system without sockets is no reason not to work.
      this.#server.on("error", () => undefined);
      this.#server.listen(socket).unref();
    }
    this.path = join(parent, name);
    renameSync(join(parent, begun), this.path);
  }

  /** Removes it with all that is in it. Again: does nothing. */
  [Symbol.dispose](): void {
    this.#server?.close();
    rmSync(this.path, { recursive: true, force: true });
  }
}
