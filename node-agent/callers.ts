import type { Role } from "../shared/rpc/tls/identity.js";

/**
 * Who may call a method of the agent's server over TLS. Orders are coordinators'; other agents ask it for ranges of files that
 * they lack, and who it is. Whether it is well is nobody's secret.
 */
export function rolesThatMayCall(method: string): readonly Role[] {
  return anybodysCalls.has(method) ? ["coordinator", "agent", "operator", "viewer"] : rolesOf(method);
}

function rolesOf(method: string): readonly Role[] {
  return peersCalls.has(method) ? ["coordinator", "agent"] : ["coordinator"];
}

const peersCalls: ReadonlySet<string> = new Set(["Describe", "Read"]);
/** Of `grpc.health.v1.Health`. */
const anybodysCalls: ReadonlySet<string> = new Set(["Check", "Watch"]);
