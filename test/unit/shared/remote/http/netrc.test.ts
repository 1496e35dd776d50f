import { expect, test } from "vitest";
import { findLogin } from "../../../../../shared/remote/http/netrc.js";

test.each([
  ["machine host login me password secret", { login: "me", password: "secret" }],
  ["machine HOST\n\tlogin me\n\tpassword secret\n", { login: "me", password: "secret" }],
  ["machine other login you password no\nmachine host login me password yes", { login: "me", password: "yes" }],
  ["machine host login me password first\nmachine host login me password second", { login: "me", password: "first" }],
  ["machine other login you password no\ndefault login any password body", { login: "any", password: "body" }],
  ["# machine host login no password no\nmachine host login me password yes", { login: "me", password: "yes" }],
  [
    'machine host login me password "with \\"quotes\\" and blanks"',
    { login: "me", password: 'with "quotes" and blanks' },
  ],
  ["machine host login me account a password secret", { login: "me", password: "secret" }],
  [
    "macdef init\nmachine host login no password no\n\nmachine host login me password yes",
    { login: "me", password: "yes" },
  ],
  ["machine host login machine password secret", { login: "machine", password: "secret" }],
  ["machine host.evil login me password secret", undefined],
  ["machine host", undefined],
  ["", undefined],
])("%j", (text, expected) => {
  expect(findLogin(text, "host")).toEqual(expected);
});
