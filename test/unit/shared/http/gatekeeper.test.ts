import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Gatekeeper, readToken } from "../../../../shared/http/gatekeeper.js";
import { VirtualClock } from "../../../simulation/virtual-clock.js";
import { withTempDir } from "../../../support/checkpoints.js";

const token = "correct-horse-battery";
const scratch = withTempDir();
afterAll(async () => (await scratch)[Symbol.asyncDispose]());

const gate = (clock = new VirtualClock()) => new Gatekeeper(token, { isTls: false, clock });

test("the token is known as a bearer, and by the cookie that it was exchanged for", () => {
  const gatekeeper = gate();
  expect(gatekeeper.look({ authorization: `Bearer ${token}` }, "a")).toBe("right");
  const cookie = gatekeeper.cookie.split(";")[0] ?? "";
  expect(cookie).not.toContain(token);
  expect(gatekeeper.look({ cookie: `other=1; ${cookie}` }, "a")).toBe("right");
  expect(gatekeeper.look({}, "a")).toBe("none");
  expect(gatekeeper.look({ cookie: "amalgam=forged" }, "a")).toBe("none");
});

test("the cookie is for this site alone, and no script's to read", () => {
  expect(gate().cookie).toMatch(/; Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+$/);
  expect(new Gatekeeper(token, { isTls: true }).cookie).toMatch(/^__Host-amalgam=.*; Secure; Max-Age/);
});

test("a cookie of another token is none", () => {
  const other = new Gatekeeper("another-token-entirely", { isTls: false });
  expect(gate().look({ cookie: other.cookie.split(";")[0] }, "a")).toBe("none");
});

test("after ten wrong tokens an address is not listened to for a minute, others are", async () => {
  const clock = new VirtualClock();
  const gatekeeper = gate(clock);
  for (let tries = 0; tries < 10; tries += 1) expect(gatekeeper.judge("wrong", "a")).toBe("wrong");
  expect(gatekeeper.judge(token, "a")).toBe("too often");
  expect(gatekeeper.judge(token, "b")).toBe("right");
  await clock.advance(60_001);
  expect(gatekeeper.judge(token, "a")).toBe("right");
});

test("without a token nobody is let in, and nobody is taken for one who guesses", () => {
  const gatekeeper = new Gatekeeper(undefined, { isTls: false });
  for (let tries = 0; tries < 11; tries += 1) {
    expect(gatekeeper.look({ authorization: "Bearer anything-at-all" }, "a")).toBe("none");
  }
  expect(gatekeeper.look({ cookie: gatekeeper.cookie.split(";")[0] }, "a")).toBe("none");
});

test.each([
  ["short", /it has 5 characters where 16 to 1,?024/],
  ["sixteen characters with spaces", /without spaces/],
])("a token file with %j is refused", async (text, reason) => {
  const file = join((await scratch).path, "token");
  await writeFile(file, text);
  expect(() => readToken(file)).toThrow(reason);
});

test("a token file may end with a line break, and its token is in no message", async () => {
  const file = join((await scratch).path, "good");
  await writeFile(file, `${token}\n`);
  expect(readToken(file)).toBe(token);
  await writeFile(file, "secret");
  expect(() => readToken(file)).toThrow(expect.objectContaining({ message: expect.not.stringContaining("secret") }));
});
