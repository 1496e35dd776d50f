import { AmalgamError } from "../../shared/errors.js";
import { makeCertificates } from "../certs/folder.js";
import { revokeCertificates } from "../certs/revoke.js";
import { type SubjectWords, subjectsOf } from "../certs/subjects.js";
import { describeRevocations, describeSet } from "./certs-view.js";
import type { Terminal } from "./terminal.js";

export interface CertsOptions extends SubjectWords {
  readonly days: number;
  readonly renew: boolean;
  /** Names, files or serial numbers. */
  readonly revoke: readonly string[];
  readonly json: boolean;
}

/** `amalgam certs`: an authority and certificates for a test cluster, and a word on what goes where. */
export async function certs(folder: string, options: CertsOptions, { stdout }: Terminal): Promise<number> {
  const { days, renew, revoke, cluster, json } = options;
  const subjects = subjectsOf(options);
  const isMaking = subjects.length > 0 || renew;
  if (!isMaking && revoke.length === 0) {
    throw new AmalgamError(
      "usage",
      'Cannot make certificates for nobody: give "--agent NAME=HOST", "--coordinator NAME", "--operator NAME" or "--nats HOST"',
    );
  }
  // First: a certificate that is renewed as well is gone then.
  const revocations = revoke.length === 0 ? undefined : await revokeCertificates(folder, revoke);
  if (revocations !== undefined && !json) stdout.write(describeRevocations(revocations));
  if (!isMaking) {
    if (json) stdout.write(`${JSON.stringify(revocations)}\n`);
    return 0;
  }
  const authority = cluster === undefined ? "amalgam" : `amalgam ${cluster}`;
  const made = await makeCertificates(folder, subjects, { days, renew, authority });
  if (json) {
    const issued = made.issued.map(({ subject, certificate, key, validTo }) => ({
      ...subject,
      certificate,
      key,
      validTo,
    }));
    stdout.write(`${JSON.stringify({ ca: made.ca, crl: made.crl, issued, revoked: revocations?.revoked })}\n`);
  } else stdout.write(describeSet(made));
  return 0;
}
