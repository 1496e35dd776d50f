import { formatBytes } from "../../shared/bytes.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { verifyOutput } from "../inspect/verify.js";
import type { VerifyReport } from "../inspect/verify-report.js";
import { formatQuantity } from "../plan/report.js";
import { readPublicKey } from "../provenance/signing/keys.js";
import { isAddress } from "../sinks/work-place.js";
import type { Terminal } from "./terminal.js";

export interface VerifyCommandOptions {
  /** The file of a public key. */
  readonly key?: string | undefined;
  readonly json: boolean;
}

/** `amalgam verify`: 0 when every byte is what manifest and signature say, else 1 and a line for each finding. */
export async function verify(directory: string, options: VerifyCommandOptions, { stdout }: Terminal): Promise<number> {
  const { key: file } = options;
  if (isAddress(directory)) return show(await verifyThere(directory, file), directory, options, stdout);
  const key = file === undefined ? undefined : { key: await readPublicKey(file), name: file };
  return show(await verifyOutput(directory, { key }), directory, options, stdout);
}

/** An output in a bucket. */
async function verifyThere(url: string, key: string | undefined): Promise<VerifyReport> {
  if (key !== undefined) {
    throw new AmalgamError(
      "usage",
      `Cannot check the signature of ${quote(url)} there: fetch it, and verify the folder`,
    );
  }
  const [{ createS3Store }, { verifyRemote }] = await Promise.all([
    import("../../shared/remote/s3/s3-store.js"),
    import("../inspect/verify-remote.js"),
  ]);
  const store = createS3Store();
  try {
    return await verifyRemote(url, store);
  } finally {
    await store.close();
  }
}

function show(
  report: VerifyReport,
  directory: string,
  options: VerifyCommandOptions,
  stdout: NodeJS.WriteStream,
): number {
  if (options.json) stdout.write(`${JSON.stringify(report)}\n`);
  else {
    for (const { problem } of report.findings) stdout.write(`${problem}\n`);
    const verdict = report.isSound ? "sound" : formatQuantity(report.findings.length, "finding");
    const facts = [formatQuantity(report.files, "file"), formatBytes(report.bytes), ...describeSignature(report)];
    stdout.write(`${directory}: ${verdict}, ${facts.join(", ")}\n`);
  }
  return report.isSound ? 0 : 1;
}

function describeSignature({ signature }: VerifyReport): readonly string[] {
  if (signature === "valid") return ["signed by this key"];
  return signature === "unchecked" ? ["signed; name the public key with --key to check by whom"] : [];
}
