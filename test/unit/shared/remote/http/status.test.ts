import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { createHttpClient } from "../../../../../shared/remote/http/client.js";
import { changed, readBody } from "../../../../../shared/remote/http/status.js";

const url = "https://host/a";

test("what a server calls a file's state cannot write to a terminal, nor fill it", () => {
  const { message } = changed(url, "date", `\u009b31m${"x".repeat(10_000)}`, "before");
  expect(message).toContain("its date is \\u009b31mxxx");
  expect(message.length).toBeLessThan(400);
});

test("a body above its limit is not taken, and not asked for again", async () => {
  const chunks = Array.from({ length: 100 }, () => Buffer.alloc(1_000));
  const body = Readable.from(chunks);
  const reply = { status: 200, headers: new Map(), body, discard: async () => undefined };
  await expect(readBody(url, reply, { maxBytes: 5_000, stallMs: 1_000 })).rejects.toMatchObject({
    code: "source_failed",
    message: expect.stringContaining("its server sends more than the 5.00 KB"),
  });
  expect(body.destroyed).toBe(true);
});

test.each(["proxy:3128", "http://me:pass word@@:x", "socks5://proxy:1080"])(
  "the proxy %s is refused by the name of its variable, without its secrets",
  (proxy) => {
    const client = () => createHttpClient({ env: { HTTPS_PROXY: proxy } });
    expect(client).toThrow(/^Cannot use HTTPS_PROXY: it is no address such as/);
    expect(client).not.toThrow(/pass|proxy:1080/);
  },
);
