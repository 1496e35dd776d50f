import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { AmalgamError } from "../../../shared/errors.js";

test.each([
  ["ENOSPC", "out_of_space"],
  ["EDQUOT", "out_of_space"],
  ["ENOMEM", "out_of_memory"],
  ["EIO", "io_failed"],
  ["EAI_AGAIN", "io_failed"],
  ["ERR_WORKER_OUT_OF_MEMORY", "out_of_memory"],
  ["ERR_INVALID_ARG_VALUE", "internal"],
])("an error of the system that is called %s is %s", (name, code) => {
  expect(AmalgamError.from(Object.assign(new Error("it failed"), { code: name })).code).toBe(code);
});

test("a path in the system's words cannot move the cursor", () => {
  const error = AmalgamError.from(Object.assign(new Error("ENOENT: open 'a\u001b[2J\u202e\n'"), { code: "ENOENT" }));
  expect(error.message).toBe("ENOENT: open 'a\\u001b[2J\\u202e\\n'");
});

test("a thread that has no memory left is out of memory", async () => {
  const greedy = "const all = []; for (;;) all.push(new Array(10_000).fill({}));";
  const worker = new Worker(greedy, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 16 } });
  const [reason] = (await once(worker, "error").catch((error: unknown) => [error])) as [unknown];
  expect(AmalgamError.from(reason)).toMatchObject({ code: "out_of_memory", exitCode: 1 });
});
