import { once } from "node:events";
import { createServer, connect as dial, type Server } from "node:net";

/** A port of loopback that nobody listens on, for servers that cannot choose one themselves. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const port = portOf(server);
  server.close();
  await once(server, "close");
  return port;
}

export function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("A TCP server has a port");
  return address.port;
}

/** Resolves when somebody listens there. */
export async function listens(port: number, why: () => string | undefined): Promise<void> {
  while (!(await isOpen(port))) {
    const failure = why();
    if (failure !== undefined) throw new Error(failure);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = dial({ host: "127.0.0.1", port });
    socket.once("connect", () => resolve(true)).once("connect", () => socket.destroy());
    socket.once("error", () => resolve(false));
  });
}
