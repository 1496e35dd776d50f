import { expect, test, vi } from "vitest";
import { assertAllowed, isPinned } from "../../../../../coordinator/provenance/reproduce/addresses.js";

const commit = "0123456789".repeat(4);
const other = "f".repeat(40);

test.each<[written: string, origin: string, revision?: string]>([
  ["family/math", `hf://family/math@${commit}`],
  ["family/math", `hf://family/math@${commit}`, "main"],
  ["hf://family/math@main/sub", `hf://family/math@${commit}/sub`],
  [`hf://family/math@${commit}`, `hf://family/math@${commit}`],
  ["https://host/models/a/", "https://host/models/a"],
  ["s3://bucket/a", "s3://bucket/a"],
])("isPinned() takes %s for what is at %s", (path, origin, revision) => {
  expect(isPinned(origin, { path, ...(revision === undefined ? {} : { revision }) })).toBe(true);
});

test.each([
  ["family/math", `hf://evil/math@${commit}`],
  ["family/math", "https://host/family/math"],
  ["hf://family/math/sub", `hf://family/math@${commit}`],
  [`hf://family/math@${commit}`, `hf://family/math@${other}`],
  ["https://host/models/a", "https://host/models/b"],
  ["https://host/models/a", "https://host:8443/models/a"],
  ["./math", `hf://family/math@${commit}`],
  ["family/math", "not an address"],
])("isPinned() does not take %s for what is at %s", (path, origin) => {
  expect(isPinned(origin, { path })).toBe(false);
});

test("assertAllowed() refuses hosts that nobody allowed, and tells all addresses once otherwise", () => {
  const onAddresses = vi.fn();
  const urls = ["https://one/a", "https://two:8443/b", `hf://family/math@${commit}`, "s3://bucket/a", "https://one/a"];
  expect(() => assertAllowed(urls, { allowedHosts: ["one", "two"], onAddresses })).toThrow(
    /^The manifest has models on "two:8443": if you know who that is, add --allow-host two:8443$/,
  );
  expect(onAddresses).not.toHaveBeenCalled();
  assertAllowed(urls, { allowedHosts: ["one", "two:8443"], onAddresses });
  expect(onAddresses).toHaveBeenCalledExactlyOnceWith(urls.slice(0, 4));
  assertAllowed([], { allowedHosts: [], onAddresses });
  expect(onAddresses).toHaveBeenCalledTimes(1);
});
