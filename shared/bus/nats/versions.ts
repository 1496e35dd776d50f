/** How far a server's version can be trusted with the cluster's state. */
export interface VersionVerdict {
  readonly level: "ok" | "warning" | "problem";
  readonly why: string;
  readonly remedy?: string;
}

const newer = "Install nats-server 2.10.23 or newer";

/** What is known of nats-server's versions. The journal beside the output survives all of it but what we refuse. */
export function judgeVersion(version: string): VersionVerdict {
  const parts = /^(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number);
  if (parts === undefined) return { level: "warning", why: "its version is not of the form 2.10.23", remedy: newer };
  const [major = 0, minor = 0, patch = 0] = parts;
  const number = major * 1_000_000 + minor * 1_000 + patch;
  if (number < 2_009_000) {
    return { level: "problem", why: "versions before 2.9 lack consumers and limits that jobs rely on", remedy: newer };
  }
  if (number < 2_010_000) {
    return {
      level: "warning",
      why: "2.9 may lose confirmed acknowledgements in a crash, so that a finished job is delivered again; that is noticed, and nothing is merged twice",
      remedy: newer,
    };
  }
  if (number >= 2_010_020 && number < 2_010_023) {
    return {
      level: "warning",
      why: "2.10.20 to 2.10.22 may lose a whole stream when killed (nats-server #6888); jobs that run go on, those that wait have to be submitted again",
      remedy: newer,
    };
  }
  return { level: "ok", why: "no loss of data by a crash of the server alone is known" };
}
