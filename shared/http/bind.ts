import type { Server } from "node:http";
import { AmalgamError } from "../errors.js";
import { quote } from "../quote.js";
import { assertLoopback, formatAddress } from "../rpc/channel.js";

/** Refuses an address that others can reach: nothing would be encrypted. */
export function assertHttpLoopback(host: string): void {
  try {
    assertLoopback(host, "Cannot serve HTTP on");
  } catch (cause) {
    throw new AmalgamError(
      "usage",
      `Cannot serve HTTP on ${quote(host)}: what is asked and answered would not be encrypted, so only loopback addresses such as "127.0.0.1" are allowed; anything else takes "--http-tls-cert" and "--http-tls-key", or the files of "--tls-cert" and "--tls-key"`,
      { cause, details: { host } },
    );
  }
}

/** Fails with `usage` where the address cannot be had. */
export function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      const address = quote(formatAddress(host, port));
      const isTaken = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
      const why = isTaken ? "it is in use: give another port, or 0 for any that is free" : error.message;
      reject(new AmalgamError("usage", `Cannot serve HTTP on ${address}: ${why}`, { cause: error }));
    });
    server.listen(port, host, () => {
      server.removeAllListeners("error");
      server.on("error", () => undefined);
      resolve();
    });
  });
}
