import { AmalgamError } from "../errors.js";
import { quote } from "../quote.js";
import { createHttpClient, type HttpClient } from "./http/client.js";
import { createHttpsStore } from "./https-store.js";
import { createHubStore } from "./hub/hub-store.js";
import { hubEndpoint } from "./hub/settings.js";
import { assertWithin, hostsOf } from "./reach.js";
import type { RemoteOptions, RemoteStore } from "./remote-store.js";
import { tellTraffic } from "./traffic.js";
import { parseRemote, type RemoteScheme, shown } from "./url.js";

/** One store for every kind of address. What a kind needs is loaded and connected when the first address of it comes. */
export function openRemoteStore(options: RemoteOptions = {}): RemoteStore {
  const { env = process.env, reach } = options;
  const opened = new Map<RemoteScheme, Promise<RemoteStore>>();
  const clients: HttpClient[] = [];
  /** `named`: a host that this process's own settings name. */
  const client = (named: readonly string[] = []): HttpClient => {
    const trusted = reach && new Set([...hostsOf(reach), ...named]);
    const [first] = clients;
    const made = createHttpClient(options, trusted);
    // All that is on its way counts together.
    clients.push(first === undefined ? made : { ...made, gate: first.gate });
    return clients.at(-1) ?? made;
  };
  const open: Readonly<Record<RemoteScheme, () => Promise<RemoteStore>>> = {
    https: async () => createHttpsStore(client()),
    hf: async () => createHubStore(client([new URL(hubEndpoint(env)).hostname])),
    // The client of S3 takes a quarter of a second to load.
    s3: async () => (await import("./s3/s3-store.js")).createS3Store(options),
  };
  const storeOf = (url: string): Promise<RemoteStore> => {
    const { address, problem } = parseRemote(url);
    if (address === undefined) throw new AmalgamError("source_refused", `Cannot use ${quote(shown(url))}: ${problem}`);
    if (reach !== undefined) assertWithin(address.url, reach);
    const store = opened.get(address.scheme) ?? open[address.scheme]();
    opened.set(address.scheme, store);
    return store;
  };
  return {
    find: async (url, signal) => (await storeOf(url)).find(url, signal),
    read: async (file, range, deliver, signal) => {
      const deliverAndTell = (bytes: Uint8Array): void => {
        tellTraffic(file.url, "bytes", bytes.length);
        deliver(bytes);
      };
      return (await storeOf(file.url)).read(file, range, deliverAndTell, signal);
    },
    close: async () => {
      // One that could not be opened has failed whoever asked for it.
      const stores = await Promise.allSettled(opened.values());
      await Promise.all(stores.map((one) => (one.status === "fulfilled" ? one.value.close() : undefined)));
      await Promise.all(clients.map((one) => one.close()));
    },
  };
}
