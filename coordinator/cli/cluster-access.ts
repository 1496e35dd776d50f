import type { Bus } from "../../shared/bus/bus.js";
import type { BusRole } from "../../shared/bus/nats/options.js";
import { liveCredentials, readSecurity, type Security } from "../../shared/rpc/security.js";
import type { ClusterOptions, TlsOptions } from "./cluster-options.js";

// Apart from the options themselves, which every command line is parsed by: this loads gRPC.

export function securityOf({ tlsCa, tlsCert, tlsKey, tlsCrl }: TlsOptions): Security {
  return readSecurity({ ca: tlsCa, certificate: tlsCert, key: tlsKey, crl: tlsCrl });
}

/** As whom NATS hears the holder of a certificate: answers come to where its role may listen. */
export function busRoleOf(roles: readonly string[]): BusRole {
  if (roles.includes("operator") || roles.includes("viewer")) return "client";
  return roles.includes("coordinator") ? "coordinator" : roles.includes("agent") ? "agent" : "client";
}

/** Connects, does it, and leaves. `command` is what operators of NATS see of it. */
export async function onCluster<Result>(
  options: ClusterOptions,
  command: string,
  act: (bus: Bus) => Promise<Result>,
): Promise<Result> {
  const { openBus } = await import("../../shared/bus/nats/open.js");
  const security = securityOf(options);
  const role = busRoleOf(liveCredentials(security)?.identity.roles ?? []);
  await using bus = await openBus({ url: options.nats, security, name: `amalgam ${command}`, role });
  return await act(bus);
}
