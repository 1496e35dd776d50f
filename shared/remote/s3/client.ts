import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import type { RemoteOptions } from "../remote-store.js";
import { tunnelAgent } from "./tunnel.js";

/** Tries of one request, with pauses in between, before a server counts as broken. */
const maxAttempts = 5;
const connectMs = 10_000;
/** A server says nothing while it puts a large object together; S3 itself sends blanks then. */
const defaultIdleMs = 60_000;

export interface S3ClientOptions extends Pick<RemoteOptions, "env"> {
  /** How long a connection may be silent, in milliseconds. @default 60,000 */
  readonly idleMs?: number | undefined;
  /**
   * `always`: with a CRC-32 that the server checks. `required`: only where S3 insists, for servers that know no such
   * headers. @default always
   */
  readonly checksums?: "always" | "required";
}

/**
 * A client with endpoint, region and credentials from where AWS's own tools look for them: variables, files, the
 * machine's role. An endpoint that a variable names gets the bucket in the path, as most servers besides AWS want it.
 */
export function createS3Client(options: S3ClientOptions = {}): S3Client {
  const { env = process.env, idleMs = defaultIdleMs, checksums = "always" } = options;
  // The package says itself which versions of Node it runs on.
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
  // The package has no proxies of its own. What is asked without TLS is asked directly.
  const httpsAgent = tunnelAgent(env);
  const when = checksums === "always" ? "WHEN_SUPPORTED" : "WHEN_REQUIRED";
  return new S3Client({
    ...placeIn(env),
    ...credentialsIn(env),
    maxAttempts,
    requestChecksumCalculation: when,
    responseChecksumValidation: "WHEN_REQUIRED",
    requestHandler: { connectionTimeout: connectMs, socketTimeout: idleMs, ...(httpsAgent && { httpsAgent }) },
  });
}

/** What stands in variables is taken from `env`; the rest is the package's to find. */
function placeIn(env: NonNullable<RemoteOptions["env"]>): S3ClientConfig {
  const endpoint = env["AWS_ENDPOINT_URL_S3"] || env["AWS_ENDPOINT_URL"];
  const region = env["AWS_REGION"] || env["AWS_DEFAULT_REGION"];
  return {
    ...(region ? { region } : endpoint ? { region: "us-east-1" } : {}),
    ...(endpoint ? { endpoint, forcePathStyle: true } : {}),
  };
}

function credentialsIn(env: NonNullable<RemoteOptions["env"]>): S3ClientConfig {
  const accessKeyId = env["AWS_ACCESS_KEY_ID"];
  const secretAccessKey = env["AWS_SECRET_ACCESS_KEY"];
  const sessionToken = env["AWS_SESSION_TOKEN"];
  if (!accessKeyId || !secretAccessKey) return {};
  return { credentials: { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) } };
}
