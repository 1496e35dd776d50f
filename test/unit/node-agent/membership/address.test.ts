import { expect, test } from "vitest";
import { advertisedAddress } from "../../../../node-agent/membership/address.js";

test.each([
  [undefined, "127.0.0.1:4000", "127.0.0.1:4000"],
  ["box.example", "0.0.0.0:4000", "box.example:4000"],
  ["box.example:80", "0.0.0.0:4000", "box.example:80"],
  ["10.0.0.1", "[::]:4000", "10.0.0.1:4000"],
  ["fe80::1", "[::]:4000", "[fe80::1]:4000"],
  ["[fe80::1]", "[::]:4000", "[fe80::1]:4000"],
  ["[fe80::1]:80", "[::]:4000", "[fe80::1]:80"],
])("advertised as %s, an agent at %s is reached at %s", (advertise, listening, address) => {
  expect(advertisedAddress(advertise, listening)).toBe(address);
});

test.each(["", ":80", "box:", "box:port", "box:70000", "[fe80::1", "[fe80::1]80"])("%j is refused", (advertise) => {
  expect(() => advertisedAddress(advertise, "127.0.0.1:4000")).toThrow(
    expect.objectContaining({ code: "usage", message: expect.stringContaining('for "--advertise"') }),
  );
});
