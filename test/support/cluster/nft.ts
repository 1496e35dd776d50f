import { execFileSync, spawnSync } from "node:child_process";
import { type FoundProgram, findProgram } from "../find-program.js";

/** What becomes of packets on their way to or from a host. */
export interface Disturbance {
  /** Of a thousand. */
  readonly lost: number;
  /** Of a thousand: they arrive twice. */
  readonly doubled: number;
}

/** Of all packets that a host sent or was sent. */
export interface Disturbed {
  readonly lost: number;
  readonly doubled: number;
}

const find = (): FoundProgram => findProgram("nft.mjs");

/** Why packets cannot be lost here, if they cannot: nft, or the kernel's part of it, is not to be had. */
export function noPacketLoss(): string | undefined {
  const { path, reason } = find();
  if (path === undefined) return reason;
  const input =
    "table netdev probe { chain c { type filter hook ingress device lo priority 0; numgen random mod 1000 < 1 drop; }\n}";
  const { status, stderr } = spawnSync("ip", ["netns", "exec", probe(), path, "-c", "-f", "-"], {
    input,
    encoding: "utf8",
  });
  endProbe();
  return status === 0 ? undefined : `nftables cannot lose packets here (${stderr.trim().split("\n")[0]})`;
}

const probeName = `amg-nft-${process.pid}`;
function probe(): string {
  execFileSync("ip", ["netns", "add", probeName]);
  return probeName;
}
function endProbe(): void {
  execFileSync("ip", ["netns", "del", probeName]);
}

/** A host's two ends of its cable: its own device, and its port on the bridge. */
export interface Cable {
  /** The host's. */
  readonly address: string;
  readonly namespace: string;
  readonly bridge: string;
  readonly port: string;
}

/**
 * Loses and doubles packets at random from now on, in place of what was disturbed before. A copy leaves for the other host's port
 * right before the packet itself: there is nothing in nftables to hold one back.
 */
export function disturb(cable: Cable, others: readonly Cable[], { lost, doubled }: Disturbance): void {
  const twice = others.map(({ address, port }) => {
    return `ip daddr ${address} numgen random mod 1000 < ${doubled} counter dup to ${port};`;
  });
  const lose = `numgen random mod 1000 < ${lost} counter drop;`;
  load(cable.namespace, "to_host", "eth0", [lose]);
  load(cable.bridge, `from_${cable.port}`, cable.port, [lose, ...(doubled > 0 ? twice : [])]);
}

/** What has been disturbed so far. */
export function disturbed({ namespace, bridge, port }: Cable): Disturbed {
  const rules = `${nft(namespace, "list ruleset")}${nft(bridge, `list table netdev from_${port}`)}`;
  const count = (verdict: string): number => {
    const counts = rules.matchAll(new RegExp(`counter packets (\\d+) bytes \\d+ ${verdict}`, "g"));
    return [...counts].reduce((sum, [, packets]) => sum + Number(packets), 0);
  };
  return { lost: count("drop"), doubled: count("dup") };
}

/** Packets pass as they are. */
export function undisturb({ namespace, bridge, port }: Cable): void {
  for (const [where, table] of [
    [namespace, "to_host"],
    [bridge, `from_${port}`],
  ] as const) {
    nft(where, `table netdev ${table}\ndelete table netdev ${table}`);
  }
}

function load(namespace: string, table: string, device: string, rules: readonly string[]): void {
  const chain = `chain c { type filter hook ingress device ${device} priority 0; ${rules.join(" ")} }\n`;
  nft(namespace, `table netdev ${table}\ndelete table netdev ${table}\ntable netdev ${table} { ${chain} }`);
}

function nft(namespace: string, input: string): string {
  const argv = ["netns", "exec", namespace, find().path ?? "nft", "-f", "-"];
  return execFileSync("ip", argv, { input, encoding: "utf8" });
}
