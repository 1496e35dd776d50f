import { AmalgamError } from "../errors.js";
import { quote } from "../quote.js";
import { createHttpClient, type HttpClient } from "./http/client.js";
import { Insiders } from "./http/inside.js";
import { createHttpsStore } from "./https-store.js";
import { createHubStore } from "./hub/hub-store.js";
import { hubEndpoint } from "./hub/settings.js";
import { assertWithin, type HostRule, hostsOf, remedyOfCoordinators } from "./reach.js";
import type { RemoteOptions, RemoteStore } from "./remote-store.js";
import { tellTraffic } from "./traffic.js";
import { parseRemote, type RemoteScheme, shown } from "./url.js";

const remedyOfAgents = 'a server in the public Internet leads there; a "--root" on that host lets the agent read it';

/** One store for every kind of address. What a kind needs is loaded and connected when the first address of it comes. */
export function openRemoteStore(options: RemoteOptions = {}): RemoteStore {
  const { env = process.env, reach, roots, isPublic } = options;
  const opened = new Map<string, Promise<RemoteStore>>();
  const clients: HttpClient[] = [];
  const insiders = new Insiders(isPublic);
  /** `own`: hosts that this process's own settings name. */
  const ruleOf = (isInside: boolean, own: readonly string[]): HostRule | undefined => {
    if (reach === undefined && (roots === undefined || isInside)) return undefined;
    const remedy = reach === undefined ? remedyOfAgents : remedyOfCoordinators;
    return { named: new Set([...hostsOf(reach ?? { roots }), ...own]), isPublic, remedy };
  };
  const client = (isInside: boolean, own: readonly string[] = []): HttpClient => {
    const [first] = clients;
    const made = createHttpClient(options, ruleOf(isInside, own), isInside ? insiders.lookup : undefined);
    // All that is on its way counts together.
    clients.push(first === undefined ? made : { ...made, gate: first.gate });
    return clients.at(-1) ?? made;
  };
  // Asked for when it is needed: settings of the Hub's that are wrong concern nobody else.
  const hub = (): string => new URL(hubEndpoint(env)).hostname;
  const open: Readonly<Record<RemoteScheme, (isInside: boolean) => Promise<RemoteStore>>> = {
    https: async (isInside) => createHttpsStore(client(isInside)),
    hf: async (isInside) => createHubStore(client(isInside, [hub()])),
    // The client of S3 takes a quarter of a second to load.
    s3: async () => (await import("./s3/s3-store.js")).createS3Store(options),
  };
  const storeOf = async (url: string): Promise<RemoteStore> => {
    const { address, problem } = parseRemote(url);
    if (address === undefined) throw new AmalgamError("source_refused", `Cannot use ${quote(shown(url))}: ${problem}`);
    if (reach !== undefined) assertWithin(address.url, reach);
    const { scheme } = address;
    // Where redirects may lead hangs on where they come from.
    const isRuled = roots !== undefined && scheme !== "s3";
    const isInside = isRuled && (await insiders.isInside(scheme === "hf" ? hub() : new URL(address.url).hostname));
    const kind = `${scheme} ${isInside}`;
    const store = opened.get(kind) ?? open[scheme](isInside);
    opened.set(kind, store);
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
