import { setMaxListeners } from "node:events";
import { Client } from "@grpc/grpc-js";
import type { AmalgamError } from "../errors.js";
import { clientOptions, parseAddress } from "./channel.js";
import { channelCredentials, liveCredentials, type Security } from "./security.js";
import { Explanations } from "./tls/explanations.js";
import { type Expectation, ServerCheck } from "./tls/server-check.js";

/** A client's way to one server, over one connection at a time. */
export interface Connection {
  readonly address: string;
  /** What calls are made with at the moment. */
  readonly client: Client;
  /** Aborted with the reason when {@link client} is to be used no more; undefined: that does not happen. */
  readonly revoked: AbortSignal | undefined;
  /** Says more of a failure to connect, if there is more to say. */
  readonly explain: (error: AmalgamError) => Promise<AmalgamError>;
  readonly close: () => void;
}

/** Connects on the first call. `explain` is for connections without TLS. */
export function openConnection(
  address: string,
  security: Security,
  expected: Partial<Expectation>,
  explain: Connection["explain"],
): Connection {
  const live = liveCredentials(security);
  const { host } = parseAddress(address);
  if (live === undefined) {
    const client = new Client(address, channelCredentials(security, host), clientOptions);
    return { address, client, revoked: undefined, explain, close: () => client.close() };
  }
  const check = new ServerCheck(address, live, { role: "agent", ...expected });
  const open = (): Client => new Client(address, channelCredentials(security, host, check), clientOptions);
  let client = open();
  let ending = endingOfMany();
  const stop = live.onChange(() => {
    const { revocation } = check;
    if (revocation === undefined) return;
    const old = { client, ending };
    // The server may come back with another certificate.
    client = open();
    ending = endingOfMany();
    old.ending.abort(revocation);
    old.client.close();
  });
  return {
    address,
    get client() {
      return client;
    },
    get revoked() {
      return ending.signal;
    },
    explain: new Explanations(address, live, check).explain,
    close: () => {
      stop();
      client.close();
    },
  };
}

/** As many calls listen as run at once: no leak that Node would have to warn of. */
function endingOfMany(): AbortController {
  const ending = new AbortController();
  setMaxListeners(0, ending.signal);
  return ending;
}
