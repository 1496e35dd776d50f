/** What an answer of S3 that is no success means, whichever of its many names it has. */
export type S3Trouble =
  /** No such key, upload or bucket; or it is hidden from us. */
  | "absent"
  | "no_bucket"
  /** The upload is completed, aborted or never was. */
  | "no_upload"
  /** A condition of the request does not hold, such as that nothing is there yet. */
  | "condition"
  /** Parts that are named are not those that the server has. */
  | "parts"
  /** It does not know a header or an operation of newer versions of S3. */
  | "unknown_word"
  /** The credentials are not let in, or not there, or not valid any more. */
  | "denied"
  | "expired"
  | "no_credentials"
  /** What time it is here is not what time it is there. */
  | "clock"
  /** The bucket is in another region. */
  | "region"
  | "canceled"
  /** The bytes that came are not those that were sent. */
  | "corrupt"
  /** It does not work, or is not reached: later it may. */
  | "broken";

const byName: Readonly<Record<string, S3Trouble>> = {
  NoSuchKey: "absent",
  NotFound: "absent",
  NoSuchBucket: "no_bucket",
  NoSuchUpload: "no_upload",
  PreconditionFailed: "condition",
  ConditionalRequestConflict: "condition",
  InvalidPart: "parts",
  InvalidPartOrder: "parts",
  EntityTooSmall: "parts",
  NotImplemented: "unknown_word",
  InvalidRequest: "unknown_word",
  InvalidArgument: "unknown_word",
  AccessDenied: "denied",
  Forbidden: "denied",
  AllAccessDisabled: "denied",
  AccountProblem: "denied",
  InvalidAccessKeyId: "denied",
  SignatureDoesNotMatch: "denied",
  RequestTimeTooSkewed: "clock",
  ExpiredToken: "expired",
  ExpiredTokenException: "expired",
  InvalidToken: "expired",
  TokenRefreshRequired: "expired",
  CredentialsProviderError: "no_credentials",
  TokenProviderError: "no_credentials",
  PermanentRedirect: "region",
  AuthorizationHeaderMalformed: "region",
  IllegalLocationConstraintException: "region",
  AbortError: "canceled",
  BadDigest: "corrupt",
  InvalidDigest: "corrupt",
  XAmzContentSHA256Mismatch: "corrupt",
};

const byStatus: ReadonlyMap<number, S3Trouble> = new Map([
  [301, "region"],
  [307, "region"],
  [401, "denied"],
  [403, "denied"],
  [404, "absent"],
  [409, "condition"],
  [412, "condition"],
  [501, "unknown_word"],
]);

export interface S3Failure {
  readonly trouble: S3Trouble;
  /** The server's own word for it and its status, safe to print: `AccessDenied (403)`. */
  readonly word: string;
  /** Whether a server answered at all. */
  readonly isAnswered: boolean;
}

/**
 * What went wrong with a request. Only names are kept of what a server said: its texts may hold keys, signed addresses
 * or anything else.
 */
export function readS3Failure(reason: unknown): S3Failure {
  if (!(reason instanceof Error)) return { trouble: "broken", word: "no answer", isAnswered: false };
  const status = statusOf(reason);
  const name = /^\w{1,60}$/.test(reason.name) ? reason.name : "an error";
  const errno = (reason as NodeJS.ErrnoException).code;
  const word = name === "Error" && /^\w{1,40}$/.test(errno ?? "") ? String(errno) : name;
  const trouble = byName[name] ?? byName[errno ?? ""] ?? (status === undefined ? undefined : byStatus.get(status));
  const isRegion = reason.message.startsWith("Region is missing");
  return {
    trouble: isRegion ? "region" : (trouble ?? "broken"),
    word: status === undefined ? word : `${word} (${status})`,
    isAnswered: status !== undefined,
  };
}

function statusOf(reason: Error): number | undefined {
  const { $metadata } = reason as { $metadata?: { httpStatusCode?: number } };
  return $metadata?.httpStatusCode;
}

const remedies: Partial<Record<S3Trouble, string>> = {
  no_bucket: "check the bucket's name, and AWS_ENDPOINT_URL_S3 where it is not on AWS",
  denied: "the credentials are not let in: check AWS_ACCESS_KEY_ID or AWS_PROFILE, and the bucket's policy",
  expired: "the credentials have expired: sign in again, or set a new AWS_SESSION_TOKEN",
  no_credentials: "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
  clock: "the server's clock and this machine's are too far apart: set this one right",
  region: "set AWS_REGION to the region that the bucket is in",
};

/** What to do about what only the author can change; undefined for everything else. */
export function remedyOf(trouble: S3Trouble): string | undefined {
  return remedies[trouble];
}

/** What happened where nobody can say what to do about it, as a clause. */
export function describeFailure({ word, isAnswered }: S3Failure, env: NodeJS.ProcessEnv = process.env): string {
  if (isAnswered) return `the server answered ${word}`;
  const proxy = ["https_proxy", "HTTPS_PROXY"].find((name) => env[name]);
  return `no answer came (${word})${proxy === undefined ? "" : `, by way of the proxy in ${proxy} where NO_PROXY does not name the host`}`;
}
