import { type Command, Option } from "commander";
import { AmalgamError } from "../../shared/errors.js";

/** Options of every command that connects to what runs elsewhere. */
export interface TlsOptions {
  readonly tlsCa?: string | undefined;
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
  readonly tlsCrl?: string | undefined;
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
    .addOption(new Option("--tls-key <file>", "its key (PEM)").env("AMALGAM_TLS_KEY"))
    .addOption(new Option("--tls-crl <file>", "certificates that are revoked (PEM)").env("AMALGAM_TLS_CRL"));
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
