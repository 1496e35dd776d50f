import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { systemClock } from "../../shared/clock.js";
import { tellConnection } from "../../shared/cluster/tell-connection.js";
import type { AmalgamError } from "../../shared/errors.js";
import type { Log } from "../../shared/log/log.js";
import { quote } from "../../shared/quote.js";
import type { Security } from "../../shared/rpc/security.js";
import { kernelsVersion, packageVersion, protocolVersion } from "../../shared/rpc/version.js";
import type { RunningAgent } from "../agent.js";
import type { ClusterSettings } from "../settings.js";
import { advertisedAddress } from "./address.js";
import { type JoinOptions, joinCluster, type Membership, type NodeDescription } from "./join-cluster.js";
import { waitForBus } from "./wait-for-bus.js";

export interface EnterOptions extends Pick<JoinOptions, "onDrain" | "onReplaced" | "onReport"> {
  readonly security: Security;
  /** Aborted: do not wait any longer. */
  readonly signal: AbortSignal;
  readonly log: Log;
  /** NATS was lost. */
  readonly onDisconnected?: (() => void) | undefined;
}

/** Connects an agent that serves already to the cluster. Disposing of the membership ends the connection too. */
export async function enterCluster(
  agent: RunningAgent,
  { url, waitMs, advertise }: ClusterSettings,
  options: EnterOptions,
): Promise<Membership> {
  const { security, signal, log, onDrain, onReplaced, onReport, onDisconnected } = options;
  const { name } = agent;
  const description = describe(agent, advertisedAddress(advertise, agent.address));
  // Only members of a cluster load the client.
  const { openBus } = await import("../../shared/bus/nats/open.js");
  const open = async (): Promise<Membership> => {
    const bus = await openBus({ url, security, name: `amalgam agent ${name}`, role: "agent" });
    try {
      bus.onConnection((isConnected) => {
        if (!isConnected && !signal.aborted) onDisconnected?.();
      });
      tellConnection(bus, log, signal);
      const join = { running: () => agent.running, onDrain, onReplaced, onReport, signal };
      const membership = await joinCluster(bus, description, join);
      return {
        get isConnected() {
          return membership.isConnected;
        },
        drain: () => membership.drain(),
        report: (event) => membership.report(event),
        [Symbol.asyncDispose]: async () => {
          await membership[Symbol.asyncDispose]();
          await bus[Symbol.asyncDispose]();
        },
      };
    } catch (error) {
      await bus[Symbol.asyncDispose]();
      throw error;
    }
  };
  const onWaiting = ({ message }: AmalgamError): void =>
    log.info(`Agent ${quote(name)} waits for the cluster: ${message}`);
  return await waitForBus(open, { clock: systemClock, waitMs, signal, onWaiting });
}

function describe({ name, slots, memoryBytes, roots, providers }: RunningAgent, address: string): NodeDescription {
  return {
    name,
    instance: randomUUID(),
    role: "agent",
    address,
    host: hostname(),
    pid: process.pid,
    version: packageVersion(),
    protocol: protocolVersion,
    kernels: kernelsVersion,
    slots,
    memoryBytes,
    roots: [...roots],
    devices: [...providers],
    startedAt: new Date().toISOString(),
  };
}
