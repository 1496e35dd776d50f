import { setTimeout as wait } from "node:timers/promises";
import { expect, test } from "vitest";
import { openRemoteStore } from "../../../shared/remote/open.js";
import { EndedTogether } from "../../support/remote/ended-together.js";
import { startFaultyProxy } from "../../support/remote/faulty-proxy.js";
import { serveBytes } from "../../support/remote/serve-bytes.js";
import { startStaticServer } from "../../support/remote/static-server.js";

const weights = Buffer.alloc(600_000, 7);

test("reads share a limit of bytes that are on their way, and all are served", async () => {
  await using things = new EndedTogether();
  let open = 0;
  let most = 0;
  const server = things.use(
    await startStaticServer({}, (request, response) => {
      open += 1;
      most = Math.max(most, open);
      response.once("close", () => {
        open -= 1;
      });
      // Not at once, so that requests that may overlap do.
      setTimeout(() => serveBytes(request, response, weights, '"tag"'), 20);
      return true;
    }),
  );
  const store = things.close(openRemoteStore({ env: {}, maxInFlightBytes: 200_000 }));
  const file = { url: `${server.url}/model.safetensors`, bytes: weights.length, version: undefined };
  let delivered = 0;
  const lengths = [100_000, 100_000, 100_000, 100_000, 300_000, 100_000];
  await Promise.all(
    lengths.map((length) =>
      store.read(file, { offset: 0, length }, (bytes) => {
        delivered += bytes.length;
      }),
    ),
  );
  expect(delivered).toBe(800_000);
  expect(most).toBe(2);
});

test("a server that fails and is waited for does not hold up reads of others", async () => {
  await using things = new EndedTogether();
  const server = things.use(await startStaticServer({ "/model.safetensors": weights }));
  const proxy = things.use(
    await startFaultyProxy(server.url, () => ({ kind: "status", status: 503, headers: { "Retry-After": "60" } })),
  );
  const store = things.close(openRemoteStore({ env: {}, maxInFlightBytes: 1_000 }));
  const fileAt = (url: string) => ({ url: `${url}/model.safetensors`, bytes: weights.length, version: undefined });
  const controller = new AbortController();
  const range = { offset: 0, length: 1_000 };
  const failing = store.read(fileAt(proxy.url), range, () => undefined, controller.signal);
  failing.catch(() => undefined);
  while (proxy.requests.length === 0) await wait(5);
  let delivered = 0;
  await store.read(fileAt(server.url), range, (bytes) => {
    delivered += bytes.length;
  });
  expect(delivered).toBe(1_000);
  controller.abort();
  await expect(failing).rejects.toMatchObject({ code: "canceled" });
});
