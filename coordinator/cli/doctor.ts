import { examine, type Finding } from "../../shared/bus/nats/doctor.js";
import { liveCredentials } from "../../shared/rpc/security.js";
import { formatQuantity } from "../plan/report.js";
import { busRoleOf, securityOf } from "./cluster-access.js";
import type { TlsOptions } from "./cluster-options.js";
import type { Terminal } from "./terminal.js";

/** Words of `amalgam doctor`. */
export interface DoctorOptions extends TlsOptions {
  readonly nats: string;
  readonly json: boolean;
}

/** `amalgam doctor`: a line for each thing that was looked at; 1 when there is a problem, warnings count as 0. */
export async function doctor(options: DoctorOptions, { stdout }: Terminal): Promise<number> {
  const security = securityOf(options);
  const wanted = liveCredentials(security)?.identity.roles ?? [];
  const role = busRoleOf(wanted);
  const findings = await examine({ url: options.nats, security, name: "amalgam doctor", role }, wanted);
  const problems = findings.filter(({ level }) => level === "problem").length;
  const warnings = findings.filter(({ level }) => level === "warning").length;
  if (options.json) stdout.write(`${JSON.stringify({ isFit: problems === 0, findings })}\n`);
  else {
    for (const finding of findings) stdout.write(`${describe(finding)}\n`);
    const verdict =
      problems === 0 ? "fit for a cluster" : `not fit for a cluster: ${formatQuantity(problems, "problem")}`;
    stdout.write(`${verdict}${warnings === 0 ? "" : `, ${formatQuantity(warnings, "warning")}`}\n`);
  }
  return problems === 0 ? 0 : 1;
}

function describe({ level, what, why, remedy }: Finding): string {
  const line = `${level.padEnd(7)}  ${what}: ${why}`;
  return remedy === undefined ? line : `${line}\n         ${remedy}`;
}
