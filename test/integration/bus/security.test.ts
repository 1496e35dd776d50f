import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type BusOptions, openBus } from "../../../shared/bus/nats/open.js";
import type { AmalgamError } from "../../../shared/errors.js";
import { readSecurity } from "../../../shared/rpc/security.js";
import { withTempDir } from "../../support/checkpoints.js";
import { makeCertificates } from "../../support/cluster/certificates.js";
import { natsBinaries, startNatsServer } from "../../support/nats-server.js";

// Who may speak to the server, and what an error gives away.

const secret = "s3cret/p@ss";

async function refusal(options: Omit<BusOptions, "name">): Promise<AmalgamError> {
  const opened = await openBus({ name: "test", timeoutMs: 1_000, ...options }).then(
    (bus) => bus[Symbol.asyncDispose](),
    (error: AmalgamError) => error,
  );
  if (opened === undefined) throw new Error("It was opened");
  return opened;
}

/** Everything that a log could print of an error. */
function allOf(error: Error): string {
  const own = `${error.message}${error.stack}${JSON.stringify(error)}`;
  return error.cause instanceof Error ? own + allOf(error.cause) : own;
}

describe.each(natsBinaries())("on nats-server ($binary)", ({ binary, reason }) => {
  const skipped = test.skipIf(reason !== undefined);

  skipped("a user with the right password is let in, and a wrong one is not shown", async () => {
    await using server = await startNatsServer({ binary, user: "amalgam", password: secret });
    const at = (login: string): string => `nats://${login}@127.0.0.1:${server.port}`;
    await using bus = await openBus({ url: at(`amalgam:${encodeURIComponent(secret)}`), name: "test" });
    expect(bus.isConnected).toBe(true);
    for (const login of [`amalgam:not-${encodeURIComponent(secret)}`, encodeURIComponent(secret)]) {
      const error = await refusal({ url: at(login) });
      expect(error).toMatchObject({ code: "bus_failed" });
      expect(error.message).toContain("the server refuses these credentials");
      expect(allOf(error)).not.toContain("s3cret");
    }
  });

  skipped("operations that fail later do not show the password either", async () => {
    await using server = await startNatsServer({ binary, user: "amalgam", password: secret });
    const url = `nats://amalgam:${encodeURIComponent(secret)}@127.0.0.1:${server.port}`;
    await using bus = await openBus({ url, name: "test", timeoutMs: 300 });
    await server.kill();
    const error: AmalgamError = await bus.state.get("jobs.a").then(
      () => new Error("It was read"),
      (reason_) => reason_,
    );
    expect(error).toMatchObject({ code: "bus_failed" });
    expect(error.message).toContain(`"nats://127.0.0.1:${server.port}"`);
    expect(allOf(error)).not.toContain("s3cret");
  });

  skipped("mutual TLS lets those in whose certificate the authority signed", async () => {
    await using folder = await withTempDir();
    const ours = await makeCertificates(join(folder.path, "ours"), []);
    const theirs = await makeCertificates(join(folder.path, "theirs"), []);
    await using server = await startNatsServer({ binary, tls: ours });
    await using bus = await openBus({ url: server.url, security: readSecurity(ours), name: "test" });
    expect(await bus.state.create("jobs.a", "1")).toBe(1);
    expect(await refusal({ url: server.url, security: readSecurity(theirs) })).toMatchObject({ code: "bus_failed" });
    expect(await refusal({ url: server.url })).toMatchObject({ code: "bus_failed" });
  });

  skipped("who asks for TLS does not speak to a server without it", async () => {
    await using folder = await withTempDir();
    const files = await makeCertificates(folder.path, []);
    await using server = await startNatsServer({ binary, user: "amalgam", password: secret });
    const error = await refusal({ url: server.url.replace(/\/\/.*@/, "//"), security: readSecurity(files) });
    expect(error.message).toContain("does not offer TLS");
  });

  skipped("a server without JetStream is refused with what is missing", async () => {
    await using server = await startNatsServer({ binary, jetStream: false });
    const error = await refusal({ url: server.url });
    expect(error).toMatchObject({ code: "bus_failed" });
    expect(error.message).toContain("JetStream is not enabled");
  });
});

test("where nobody listens it fails at once and says what to do", async () => {
  const error = await refusal({ url: "nats://amalgam:s3cret@127.0.0.1:9" });
  expect(error).toMatchObject({ code: "bus_failed" });
  expect(error.message).toBe(
    'Cannot connect to NATS at "nats://127.0.0.1:9": connection refused; see that nats-server runs there and takes these credentials',
  );
});
