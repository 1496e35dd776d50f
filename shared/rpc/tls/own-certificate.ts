import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import { liveCredentials, type Security } from "../security.js";
import { describeIdentity, type Role } from "./identity.js";
import type { TlsNotice } from "./live-credentials.js";

/**
 * The name of a server that others know by its certificate: the one that was asked for, or the certificate's. Fails with `usage`
 * when the certificate has not the role, or names somebody else: every peer would refuse it, one by one.
 *
 * @param wanted `--name`
 */
export function certifiedName(security: Security, role: Role, wanted: string | undefined): string | undefined {
  const own = liveCredentials(security)?.identity;
  if (own === undefined) return wanted;
  const act = `Cannot be ${/^[ao]/.test(role) ? "an" : "a"} ${role}`;
  if (!own.roles.includes(role)) {
    throw new AmalgamError(
      "usage",
      `${act} with the certificate of ${describeIdentity(own)}: it lacks the URI "urn:amalgam:${role}" among its alternative names; amalgam certs makes such certificates`,
    );
  }
  if (wanted !== undefined && own.name !== "" && wanted !== own.name) {
    throw new AmalgamError(
      "usage",
      `${act} named ${quote(wanted)} with the certificate of ${quote(own.name)}: leave "--name" out, or give the certificate of ${quote(wanted)}`,
    );
  }
  return wanted ?? (own.name === "" ? undefined : own.name);
}

/** Follows the TLS files while a server runs: looks at them now on SIGHUP, and tells of what is found. */
export function followCredentials(security: Security, tell: (notice: TlsNotice) => void): Disposable {
  const live = liveCredentials(security);
  const stop = live?.onNotice(tell);
  const onHangup = (): void => void live?.reload();
  if (live !== undefined) process.on("SIGHUP", onHangup);
  return {
    [Symbol.dispose]: () => {
      stop?.();
      process.off("SIGHUP", onHangup);
    },
  };
}
