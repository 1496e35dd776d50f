import { channel } from "node:diagnostics_channel";
import { parseRemote, type RemoteScheme } from "./url.js";

/** Something that went on between this process and servers that have models. */
export interface Traffic {
  readonly server: RemoteScheme;
  readonly what: "request" | "retry" | "bytes";
  /** Requests, or bytes. */
  readonly count: number;
}

/** Where it is told; nothing is spent on it while nobody listens. */
const traffic = channel("amalgam:remote");

/** `url` is a canonical one, see `parseRemote()`. */
export function tellTraffic(url: string, what: Traffic["what"], count = 1): void {
  if (!traffic.hasSubscribers) return;
  const server = parseRemote(url).address?.scheme;
  if (server !== undefined) traffic.publish({ server, what, count } satisfies Traffic);
}

/** Hears what this thread asks of servers. Returns what ends that. */
export function onTraffic(listener: (event: Traffic) => void): () => void {
  const hear = (event: unknown): void => listener(event as Traffic);
  traffic.subscribe(hear);
  return () => void traffic.unsubscribe(hear);
}
