import { expect, test } from "vitest";
import { describeFailure, readS3Failure } from "../../../../../shared/remote/s3/failure.js";

/** An error as the package throws it. */
function failure(name: string, status?: number, message = "secret words"): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status } });
}

test.each([
  [failure("NoSuchUpload", 404), "no_upload", "NoSuchUpload (404)"],
  [failure("NotFound", 404), "absent", "NotFound (404)"],
  [failure("Unknown", 403), "denied", "Unknown (403)"],
  [failure("Unknown", 501), "unknown_word", "Unknown (501)"],
  [failure("SlowDown", 503), "broken", "SlowDown (503)"],
  [failure("InternalError", 200), "broken", "InternalError (200)"],
  [failure("ExpiredToken", 400), "expired", "ExpiredToken (400)"],
  [failure("CredentialsProviderError"), "no_credentials", "CredentialsProviderError"],
  [failure("<b>\u001b[1m", 500), "broken", "an error (500)"],
  [Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" }), "broken", "ECONNREFUSED"],
  [new Error("Region is missing"), "region", "Error"],
  [failure("RequestTimeTooSkewed", 403), "clock", "RequestTimeTooSkewed (403)"],
  ["a text", "broken", "no answer"],
])("%o means %s, and only names are kept of it", (reason, trouble, word) => {
  expect(readS3Failure(reason)).toMatchObject({ trouble, word });
});

test.each([
  [failure("SlowDown", 503), { HTTPS_PROXY: "http://proxy" }, "the server answered SlowDown (503)"],
  [failure("TimeoutError"), {}, "no answer came (TimeoutError)"],
  [
    failure("TimeoutError"),
    { https_proxy: "x" },
    "no answer came (TimeoutError), by way of the proxy in https_proxy where NO_PROXY does not name the host",
  ],
])("what happened is said of %o with %o", (reason, env, text) => {
  expect(describeFailure(readS3Failure(reason), env)).toBe(text);
});
