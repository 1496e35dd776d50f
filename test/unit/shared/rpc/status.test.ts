import { Metadata, status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { AmalgamError } from "../../../../shared/errors.js";
import { fromStatus, toStatus } from "../../../../shared/rpc/status.js";

/** An error as grpc-js reports it. */
function grpcError(code: status, details: string): Error {
  return Object.assign(new Error(`${code}: ${details}`), { code, details, metadata: new Metadata() });
}

test("an error keeps its code, message and details across the wire", () => {
  const sent = new AmalgamError("checkpoint_changed", 'Cannot read "a": it has changed — ü', {
    details: { file: "a" },
  });
  const received = fromStatus(toStatus(sent), "127.0.0.1:1");
  expect(received).toMatchObject({
    code: sent.code,
    message: sent.message,
    details: { file: "a", peer: "127.0.0.1:1" },
  });
});

test("toStatus() gives foreign clients a fitting status and the message", () => {
  expect(toStatus(new AmalgamError("path_refused", "No"))).toMatchObject({
    code: status.PERMISSION_DENIED,
    details: "No",
  });
  expect(toStatus(new TypeError("a bug"))).toMatchObject({ code: status.INTERNAL, details: "TypeError: a bug" });
});

test("toStatus() bounds what goes into headers", () => {
  const details = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`key ${i}`, "x".repeat(5_000)]));
  const sent = toStatus(new AmalgamError("internal", "\u{1f600}".repeat(5_000), { details }));
  const bytes = sent.metadata.toHttp2Headers()["amalgam-error-bin"];
  expect(String(bytes).length).toBeLessThan(24_000);
  expect(() => encodeURI(sent.details)).not.toThrow();
});

test("fromStatus() reads the transport's own failures", () => {
  const codes = [
    status.UNAVAILABLE,
    status.CANCELLED,
    status.RESOURCE_EXHAUSTED,
    status.DEADLINE_EXCEEDED,
    status.UNKNOWN,
  ];
  expect(codes.map((code) => fromStatus(grpcError(code, "x"), "peer").code)).toEqual([
    "agent_lost",
    "canceled",
    "out_of_memory",
    "stalled",
    "internal",
  ]);
  expect(fromStatus(grpcError(status.UNAVAILABLE, "Connection dropped"), "127.0.0.1:9").message).toBe(
    "Call to 127.0.0.1:9 failed: Connection dropped (UNAVAILABLE)",
  );
});

test("fromStatus() takes a code that it does not know for what the status says", () => {
  const error = grpcError(status.UNAVAILABLE, "odd") as Error & { metadata: Metadata };
  error.metadata.set("amalgam-error-bin", Buffer.from('{"code":"constructor","message":"x"}'));
  expect(fromStatus(error, "peer").code).toBe("agent_lost");
});

test("fromStatus() lets no control characters through to a terminal", () => {
  const hostile = toStatus(new AmalgamError("internal", "a\u001b[2Jb\u202ec"));
  expect(fromStatus(hostile, "peer").message).toBe("a [2Jb c");
});
