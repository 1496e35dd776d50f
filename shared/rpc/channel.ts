import type { ChannelOptions } from "@grpc/grpc-js";
import { AmalgamError } from "../errors.js";
import { quote } from "../quote.js";

/** Largest message either side sends or accepts: 16 chunks' worth. Larger ones fail before they are buffered. */
export const maxMessageBytes = 16 << 20;

/**
 * HTTP/2 receive window of a client, per stream and per connection. The default of 64 KiB allows 64 KiB per round trip:
 * 3 MB/s at 12 ms, where this one was measured at 236.
 */
export const receiveWindowBytes = 16 << 20;

/**
 * Without pings a frozen peer is never noticed: its kernel keeps the connection open. A ping every two seconds that may
 * stay unanswered for four finds it in six, and forgives either side's event loop a pause of four.
 */
const pings = {
  "grpc.keepalive_time_ms": 2_000,
  "grpc.keepalive_timeout_ms": 4_000,
} as const satisfies ChannelOptions;

const sizes = {
  "grpc.max_send_message_length": maxMessageBytes,
  "grpc.max_receive_message_length": maxMessageBytes,
} as const satisfies ChannelOptions;

export const clientOptions: ChannelOptions = {
  ...pings,
  ...sizes,
  // An idle agent that died should be known before it is given work.
  "grpc.keepalive_permit_without_calls": 1,
  "grpc-node.flow_control_window": receiveWindowBytes,
  // One connection per client, so that two clients of one agent do not share a receive window.
  "grpc.use_local_subchannel_pool": 1,
  // The dispatcher decides what is tried again, and where.
  "grpc.enable_retries": 0,
  // Addresses are literal: no configuration from DNS, no proxy from the environment.
  "grpc.service_config_disable_resolution": 1,
  "grpc.enable_http_proxy": 0,
  // Counts every message for nobody. Servers keep it: without it grpc-js 1.14 forgets to close connections at the end.
  "grpc.enable_channelz": 0,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 2_000,
};

export const serverOptions: ChannelOptions = {
  ...pings,
  ...sizes,
  // Per connection, several times what a coordinator keeps in flight at one agent.
  "grpc.max_concurrent_streams": 4_096,
};

/**
 * Refuses every host but this machine's loopback: connections are neither encrypted nor authenticated. `act` starts the
 * message, as in `Cannot listen on`.
 */
export function assertLoopback(host: string, act: string): void {
  if (isLoopback(host)) return;
  throw new AmalgamError(
    "usage",
    `${act} ${quote(host)}: connections are neither encrypted nor authenticated, so only loopback addresses such as "127.0.0.1" are allowed; anything else takes --tls-ca, --tls-cert and --tls-key, which "amalgam certs" makes`,
    { details: { host } },
  );
}

function isLoopback(host: string): boolean {
  if (host === "localhost" || host === "::1") return true;
  const parts = host.split(".");
  return (
    parts.length === 4 && parts[0] === "127" && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255)
  );
}

/** `"127.0.0.1:4000"` or `"[::1]:4000"` in its parts. */
export function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-f:]+)\]|([^:[\]]+)):(\d{1,5})$/i.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || !(port >= 1 && port <= 65_535)) {
    throw new AmalgamError("usage", `Cannot use ${quote(address)} as an address: it is not of the form "host:port"`);
  }
  return { host, port };
}

export function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
