import { AmalgamError } from "../../shared/errors.js";
import { makeCertificates } from "../certs/folder.js";
import { type SubjectWords, subjectsOf } from "../certs/subjects.js";
import { describeSet } from "./certs-view.js";
import type { Terminal } from "./terminal.js";

export interface CertsOptions extends SubjectWords {
  readonly days: number;
  readonly renew: boolean;
  readonly json: boolean;
}

/** `amalgam certs`: an authority and certificates for a test cluster, and a word on what goes where. */
export async function certs(folder: string, options: CertsOptions, { stdout }: Terminal): Promise<number> {
  const { days, renew, cluster, json } = options;
  const subjects = subjectsOf(options);
  if (subjects.length === 0 && !renew) {
    throw new AmalgamError(
      "usage",
      'Cannot make certificates for nobody: give "--agent NAME=HOST", "--coordinator NAME", "--operator NAME" or "--nats HOST"',
    );
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
    stdout.write(`${JSON.stringify({ ca: made.ca, issued })}\n`);
  } else stdout.write(describeSet(made));
  return 0;
}
