import { expect, test } from "vitest";
import { withRetries } from "../../../../../shared/remote/http/retry.js";

const url = "https://models.test/m";
const patience = { tries: 8, firstDelayMs: 0, maxDelayMs: 0, maxRetryAfterMs: 0, connectMs: 1_000, stallMs: 2_000 };

async function failingWith(code: string, options: { readonly isFirst?: boolean } = {}) {
  let tries = 0;
  const work = (): Promise<never> => {
    tries += 1;
    return Promise.reject(Object.assign(new Error("said by a library: hidden"), { code, hostname: "models.test" }));
  };
  const failure = await withRetries(work, { url, patience, signal: undefined, ...options }).catch((error) => error);
  expect(String(failure)).not.toContain("hidden");
  return { failure, tries };
}

test.each([
  ["ECONNRESET", "source_failed", 8, "the connection was cut, 8 times in a row"],
  ["ECONNREFUSED", "source_failed", 8, "nothing listens at its address"],
  ["UND_ERR_CONNECT_TIMEOUT", "source_failed", 8, "its server was silent for 1 s"],
  ["UND_ERR_BODY_TIMEOUT", "source_failed", 8, "its server was silent for 2 s"],
  ["ENOTFOUND", "source_failed", 3, 'there is no host "models.test"'],
  ["UND_ERR_ABORTED", "source_failed", 3, "the proxy on the way does not let us through"],
  ["ERR_SSL_WRONG_VERSION_NUMBER", "source_failed", 3, "it does not speak TLS there"],
  ["HPE_INVALID_CONSTANT", "source_failed", 3, "what it answers is no HTTP"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "source_refused", 1, "in NODE_EXTRA_CA_CERTS"],
  ["CERT_HAS_EXPIRED", "source_refused", 1, "its certificate has expired"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "source_refused", 1, "is for another host: check the address"],
  ["UND_ERR_DESTROYED", "canceled", 1, "its reader was closed"],
])("a connection that fails with %s is %s after %i tries", async (code, kind, times, message) => {
  const { failure, tries } = await failingWith(code);
  expect(failure).toMatchObject({ code: kind, message: expect.stringContaining(message) });
  expect(tries).toBe(times);
});

test("where nothing ever answered and nothing listens is given up soon", async () => {
  expect((await failingWith("ECONNREFUSED", { isFirst: true })).tries).toBe(3);
});
