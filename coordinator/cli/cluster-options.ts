import { type Command, Option } from "commander";
import type { Bus } from "../../shared/bus/bus.js";
import type { BusRole } from "../../shared/bus/nats/options.js";
import { AmalgamError } from "../../shared/errors.js";
import { liveCredentials, readSecurity, type Security } from "../../shared/rpc/security.js";

/** Options of every command that connects to what runs elsewhere. */
export interface TlsOptions {
  readonly tlsCa?: string | undefined;
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
}

/** Options of every command of a cluster. */
export interface ClusterOptions extends TlsOptions {
  readonly nats: string;
  readonly json: boolean;
}

export function withTlsOptions(command: Command): Command {
  return command
    .addOption(new Option("--tls-ca <file>", "the authority that both ends trust (PEM)").env("AMALGAM_TLS_CA"))
    .addOption(new Option("--tls-cert <file>", "the certificate to show (PEM)").env("AMALGAM_TLS_CERT"))
    .addOption(new Option("--tls-key <file>", "its key (PEM)").env("AMALGAM_TLS_KEY"));
}

/** `--nats` may come from the environment, so that secrets need not stand in a command line. */
export function withCluster(command: Command): Command {
  command.addOption(new Option("--nats <url>", "the cluster's NATS server").env("AMALGAM_NATS"));
  return withTlsOptions(command).hook("preAction", (_, action) => {
    if (action.opts()["nats"]) return;
    throw new AmalgamError(
      "usage",
      'Cannot find the cluster: give "--nats URL" or set AMALGAM_NATS, as in nats://127.0.0.1:4222',
    );
  });
}

export function securityOf({ tlsCa, tlsCert, tlsKey }: TlsOptions): Security {
  return readSecurity({ ca: tlsCa, certificate: tlsCert, key: tlsKey });
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
