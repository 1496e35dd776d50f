import type { Manifest } from "../assemble/manifest.js";

/** What is wrong with one file. */
export interface Finding {
  readonly file: string;
  readonly kind: "missing" | "size" | "header" | "digest" | "extra" | "index" | "unreadable" | "signature" | "unsigned";
  /** A sentence that names the file and the numbers. */
  readonly problem: string;
}

export interface VerifyReport {
  readonly directory: string;
  readonly planDigest: string;
  readonly method: string;
  /** Files looked at, the manifest not among them. */
  readonly files: number;
  readonly bytes: number;
  /** By file name; empty when the directory is what the manifest says. */
  readonly findings: readonly Finding[];
  readonly isSound: boolean;
  /** `unchecked`: there is a signature, and nobody said whose it should be. */
  readonly signature: "none" | "unchecked" | "valid" | "invalid";
}

/** `directory`: as whoever reads the report named it. */
export function reportOn(
  directory: string,
  { planDigest, method, weights, companions }: Manifest,
  findings: readonly Finding[],
  signature: VerifyReport["signature"],
): VerifyReport {
  const listed = [...weights, ...companions];
  return {
    directory,
    planDigest,
    method,
    files: listed.length,
    bytes: listed.reduce((sum, { bytes }) => sum + bytes, 0),
    findings: findings.toSorted((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : 0)),
    isSound: findings.length === 0,
    signature,
  };
}
