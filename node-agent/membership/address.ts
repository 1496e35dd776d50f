import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { formatAddress, parseAddress } from "../../shared/rpc/channel.js";

/**
 * The address that others are told: `HOST[:PORT]` as it was given with `--advertise`, with the port that the agent
 * listens on where none is named. `listening` is `host:port`.
 */
export function advertisedAddress(advertise: string | undefined, listening: string): string {
  if (advertise === undefined) return listening;
  const { port } = parseAddress(listening);
  const address = hasPort(advertise) ? advertise : formatAddress(advertise.replace(/^\[(.*)\]$/, "$1"), port);
  try {
    const parts = parseAddress(address);
    return formatAddress(parts.host, parts.port);
  } catch (cause) {
    const problem = `Cannot use ${quote(advertise)} for "--advertise": it is not of the form "host" or "host:port"`;
    throw new AmalgamError("usage", problem, { cause });
  }
}

/** An IPv6 address has several colons, and its port stands behind brackets. */
function hasPort(advertise: string): boolean {
  return /^(\[.*\]|[^:]*):[^:]*$/.test(advertise);
}
