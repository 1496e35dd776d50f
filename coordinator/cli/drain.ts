import type { Bus } from "../../shared/bus/bus.js";
import { sleep, systemClock } from "../../shared/clock.js";
import { keys, type NodeRecord, type OrderRecord, orderRecord, parseRecord } from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { unlessAborted } from "../../shared/unless-aborted.js";
import { firstLook, type SeenNode } from "../cluster/first-look.js";
import { formatQuantity } from "../plan/report.js";
import { didYouMean } from "../recipe/wording.js";
import { onCluster } from "./cluster-access.js";
import type { ClusterOptions } from "./cluster-options.js";
import { interruptible } from "./interrupt.js";
import { printable } from "./printable.js";
import type { Terminal } from "./terminal.js";
import { whoAmI } from "./who.js";

export interface DrainOptions extends ClusterOptions {
  readonly detach: boolean;
}

const lookAgainMs = 500;

/** `amalgam drain`: returns when the node has finished what it ran and left. An interrupt does not take the order back. */
export function drain(name: string, options: DrainOptions, { stdout, stderr }: Terminal): Promise<number> {
  return onCluster(options, "drain", async (bus) => {
    const { instance } = findNode(name, await firstLook(bus, systemClock));
    const order: OrderRecord = { instance, order: "drain", by: whoAmI() };
    await bus.state.put(keys.order(name), JSON.stringify(order));
    if (!options.detach) {
      const say = (line: string): unknown => options.json || stderr.write(`${line}\n`);
      const wait = (signal: AbortSignal): Promise<void> =>
        unlessAborted(signal, untilGone(bus, { name, instance }, signal, say));
      await interruptible(wait, `Waiting ended, and ${printable(name)} goes on draining`);
      await takeBack(bus, { name, instance });
    }
    const state = options.detach ? "draining" : "gone";
    const said = options.detach ? "is to drain" : "has left";
    stdout.write(options.json ? `${JSON.stringify({ node: name, state })}\n` : `${printable(name)} ${said}\n`);
    return 0;
  });
}

function findNode(name: string, seen: readonly SeenNode[]): NodeRecord {
  const node = seen.find(({ record }) => record.name === name);
  if (node === undefined) {
    const names = seen.map(({ record }) => record.name);
    const hint = names.length === 0 ? ": there are no nodes" : didYouMean(name, names) || "; amalgam nodes lists them";
    throw new AmalgamError("usage", `Unknown node ${quote(name)}${hint}`);
  }
  if (node.record.role === "coordinator") {
    const remedy = "end it with SIGTERM, and it hands its jobs to the others";
    throw new AmalgamError("usage", `Cannot drain coordinator ${quote(name)}: ${remedy}`);
  }
  if (node.life === "stale") {
    throw new AmalgamError(
      "usage",
      `Cannot drain node ${quote(name)}: it is silent, and gone as far as others can tell`,
    );
  }
  return node.record;
}

type Instance = Pick<NodeRecord, "name" | "instance">;

async function untilGone(bus: Bus, node: Instance, signal: AbortSignal, say: (line: string) => void): Promise<void> {
  let said = "";
  while (!signal.aborted) {
    const line = await howItIs(bus, node);
    if (line === undefined) return;
    if (line !== said && !signal.aborted) say(line);
    said = line;
    await sleep(systemClock, lookAgainMs, signal);
  }
}

/** An agent that was killed has left its order behind, which nobody will ever read. */
async function takeBack(bus: Bus, { name, instance }: Instance): Promise<void> {
  try {
    const entry = await bus.state.get(keys.order(name));
    if (parseRecord(orderRecord, entry?.value)?.instance === instance) await bus.state.delete(keys.order(name));
  } catch {
    // The node is gone all the same.
    return;
  }
}

/** In words; undefined when it is gone. An absence of NATS is waited out. */
async function howItIs(bus: Bus, node: Instance): Promise<string | undefined> {
  const name = printable(node.name);
  try {
    const seen = (await firstLook(bus, systemClock)).find(({ record }) => record.instance === node.instance);
    if (seen === undefined || seen.life === "stale") return undefined;
    const { state, running, role } = seen.record;
    const left = formatQuantity(running, role === "agent" ? "unit" : "job");
    return state === "draining" ? `${name} is draining, with ${left} to go` : `${name} has not heard of it yet`;
  } catch (reason) {
    const error = AmalgamError.from(reason);
    if (error.code === "bus_failed") return error.message;
    throw error;
  }
}
