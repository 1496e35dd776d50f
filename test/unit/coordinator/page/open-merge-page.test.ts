import { expect, test } from "vitest";
import { openMergePage } from "../../../../coordinator/page/open-merge-page.js";
import { AmalgamError } from "../../../../shared/errors.js";
import type { HttpSettings } from "../../../../shared/http/listen.js";
import { loopback } from "../../../../shared/rpc/security.js";

const on = (host: string, port = 0): HttpSettings => {
  return { host, port, token: undefined, files: undefined, security: loopback };
};
const facts = { recipeFile: "recipe.yaml", output: "/outputs/merged", by: "ada" };

test("an address that others reach, or that is in use, is refused before anything is merged", async () => {
  const far = openMergePage(facts, on("0.0.0.0"));
  await expect(far).rejects.toMatchObject({ code: "usage", message: expect.stringContaining("Cannot serve HTTP on") });
  const page = await openMergePage(facts, on("127.0.0.1"));
  const taken = openMergePage(facts, on("127.0.0.1", Number(new URL(page.url).port)));
  await expect(taken).rejects.toMatchObject({ code: "usage", message: expect.stringContaining("in use") });
  expect((await fetch(page.url)).status).toBe(200);
  await page.end();
  await expect(fetch(page.url)).rejects.toThrow();
});

test("how it ended is on the page", async () => {
  const page = await openMergePage(facts, on("127.0.0.1"));
  const stream = await fetch(`${page.url}/api/events`);
  const told = stream.text().catch(() => "");
  const begun = await (await fetch(`${page.url}/api/state`)).json();
  expect(begun).toMatchObject({ jobs: { merged: { state: "planning", output: "/outputs/merged" } } });
  const ended = page.end(new AmalgamError("io_failed", "Something broke"));
  const state = await (await fetch(`${page.url}/api/state`)).json();
  expect(state).toMatchObject({ jobs: { merged: { state: "failed", code: "io_failed", reason: "Something broke" } } });
  await ended;
  await told;
});
