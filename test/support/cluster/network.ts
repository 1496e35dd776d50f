import { execFileSync } from "node:child_process";
import { type Cable, type Disturbance, type Disturbed, disturb, disturbed, undisturb } from "./nft.js";

/** A machine of the test's: commands run on it have its address and see nobody but the other hosts. */
export interface Host {
  readonly name: string;
  readonly address: string;
  /** The words to put before a command to run it there. */
  readonly prefix: readonly string[];
}

/** Hosts that reach one another, until told otherwise. */
export interface Network extends AsyncDisposable {
  readonly kind: "namespaces" | "loopback";
  host(name: string): Host;
  /** Both ways, in silence: packets are lost and nobody is told. */
  cut(a: string, b: string): void;
  mend(a: string, b: string): void;
  /** Loses and doubles packets of a host at random, both ways; see `noPacketLoss()`. */
  disturb(host: string, disturbance: Disturbance): void;
  /** What that has done so far. */
  disturbed(host: string): Disturbed;
  /** Ends all cuts and disturbances. */
  mendAll(): void;
}

/** Why network namespaces cannot be had here, if they cannot. */
export function noNamespaces(): string | undefined {
  if (process.platform !== "linux") return "network namespaces are Linux's";
  try {
    const name = `amg-probe-${process.pid}`;
    ip("netns", "add", name);
    try {
      ip("-n", name, "link", "add", "probe", "type", "bridge");
    } finally {
      ip("netns", "del", name);
    }
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    return `network namespaces are not permitted here (${reason})`;
  }
}

/** Every host in a network namespace of its own, all on one bridge that is in yet another. */
export function createNamespaces(names: readonly string[]): Network {
  networks += 1;
  const tag = `amg-${process.pid}-${networks}`;
  const bridge = `${tag}-switch`;
  const namespaces = [bridge];
  const cuts = new Set<string>();
  const hosts = new Map<string, Host>();
  const cables = new Map<string, Cable>();
  const restless = new Set<string>();
  const close = (): void => {
    for (const namespace of namespaces.splice(0)) ip("netns", "del", namespace);
  };
  try {
    ip("netns", "add", bridge);
    ip("-n", bridge, "link", "add", "br0", "type", "bridge");
    ip("-n", bridge, "link", "set", "br0", "up");
    names.forEach((name, index) => {
      const namespace = `${tag}-${index}`;
      const address = `10.77.0.${index + 1}`;
      ip("netns", "add", namespace);
      namespaces.push(namespace);
      ip("-n", bridge, "link", "add", `port${index}`, "type", "veth", "peer", "name", "eth0", "netns", namespace);
      ip("-n", bridge, "link", "set", `port${index}`, "master", "br0", "up");
      ip("-n", namespace, "link", "set", "lo", "up");
      ip("-n", namespace, "addr", "add", `${address}/24`, "dev", "eth0");
      ip("-n", namespace, "link", "set", "eth0", "up");
      hosts.set(name, { name, address, prefix: ["ip", "netns", "exec", namespace] });
      cables.set(name, { address, namespace, bridge, port: `port${index}` });
    });
  } catch (error) {
    close();
    throw error;
  }
  const namespaceOf = (name: string): string => hostOf(name).prefix[3] ?? "";
  const hostOf = (name: string): Host => {
    const host = hosts.get(name);
    if (host === undefined) throw new RangeError(`No host "${name}" in this network`);
    return host;
  };
  const cableOf = (name: string): Cable => {
    const cable = cables.get(name);
    if (cable === undefined) throw new RangeError(`No host "${name}" in this network`);
    return cable;
  };
  // A neighbour at an address that nobody has: the packets leave and arrive nowhere.
  const change = (a: string, b: string, ...words: readonly string[]): void => {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      ip("-n", namespaceOf(from), "neigh", words[0] ?? "", hostOf(to).address, ...words.slice(1), "dev", "eth0");
    }
  };
  const network: Network = {
    kind: "namespaces",
    host: hostOf,
    cut: (a, b) => {
      if (cuts.has(`${a} ${b}`)) return;
      change(a, b, "replace", "lladdr", "02:00:00:00:00:01", "nud", "permanent");
      cuts.add(`${a} ${b}`);
    },
    mend: (a, b) => {
      if (cuts.delete(`${a} ${b}`)) change(a, b, "del");
    },
    disturb: (name, disturbance) => {
      const cable = cableOf(name);
      disturb(
        cable,
        [...cables.values()].filter((other) => other !== cable),
        disturbance,
      );
      restless.add(name);
    },
    disturbed: (name) => disturbed(cableOf(name)),
    mendAll: () => {
      for (const name of restless) undisturb(cableOf(name));
      restless.clear();
      for (const cut of cuts) {
        const [a = "", b = ""] = cut.split(" ");
        network.mend(a, b);
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(close()),
  };
  return network;
}
let networks = 0;

/** All hosts on this machine's loopback, where nothing can be cut. */
export function createLoopback(names: readonly string[]): Network {
  const refuse = (): never => {
    throw new Error("Loopback cannot be cut: use namespaces");
  };
  return {
    kind: "loopback",
    host: (name) => {
      if (!names.includes(name)) throw new RangeError(`No host "${name}" in this network`);
      return { name, address: "127.0.0.1", prefix: [] };
    },
    cut: refuse,
    mend: refuse,
    disturb: refuse,
    disturbed: refuse,
    mendAll: () => undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function ip(...argv: readonly string[]): void {
  execFileSync("ip", argv, { stdio: ["ignore", "ignore", "pipe"] });
}
