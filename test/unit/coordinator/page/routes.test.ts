import { afterAll, beforeAll, expect, test } from "vitest";
import { pageAssets } from "../../../../coordinator/page/assets.js";
import { hostileTexts, servePage } from "../../../support/made-page.js";

const token = "a-token-of-more-than-sixteen";
let page: Awaited<ReturnType<typeof servePage>>;
beforeAll(async () => {
  page = await servePage({ isHostile: true, token });
});
afterAll(() => page[Symbol.asyncDispose]());

const get = (path: string): Promise<Response> => fetch(`${page.url}${path}`);
const post = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${page.url}${path}`, { method: "POST", headers });

test("the page is made of files of ours alone, which load nothing from elsewhere", async () => {
  const assets = pageAssets();
  expect(assets.map(({ path }) => path)).toContain("/modules/shared/cluster/cells.js");
  for (const { path, type, text } of assets) {
    const answer = await get(path);
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, type]);
    expect(text).not.toMatch(/(?:src|href|url\()=?["']?https?:/);
    expect(text).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(/);
  }
  expect((await get("/")).headers.get("content-security-policy")).toMatch(/default-src '(self|none)'/);
});

test("nothing of what others told is in the page's own text", () => {
  for (const { text } of pageAssets()) expect(text).not.toContain("example.com");
});

test.each([
  ["/api/jobs/%E0%A4%A", 404],
  ["/api/jobs/", 404],
  ["/api/jobs/..%2F..%2Fetc", 404],
  ["/modules/coordinator/page/routes.js", 404],
  ["/modules/../package.json", 404],
  [`/api/jobs/${encodeURIComponent(hostileTexts.element)}`, 200],
])("GET %s is %i", async (path, status) => {
  expect((await get(path)).status).toBe(status);
});

test("nothing is changed without the token, or from the page of another site", async () => {
  const path = "/api/jobs/mixtral-moe-19ac02/cancel";
  const bearer = { authorization: `Bearer ${token}` };
  expect((await post(path)).status).toBe(401);
  expect((await post(path, { authorization: "Bearer something-else-altogether" })).status).toBe(401);
  expect((await post(path, { ...bearer, origin: "https://example.com" })).status).toBe(403);
  expect((await fetch(`${page.url}${path}`, { headers: bearer })).status).toBe(404);
  expect(page.asked).toEqual([]);
  expect((await post(path, bearer)).status).toBe(200);
  expect((await post("/api/nodes/gpu-a1/drain", bearer)).status).toBe(200);
  expect((await post("/api/nodes/gpu-a1/explode", bearer)).status).toBe(404);
  expect(page.asked).toEqual(["cancel mixtral-moe-19ac02", "drain gpu-a1"]);
});

test("the state and the stream of events begin with the same", async () => {
  const state = (await (await get("/api/state")).json()) as Record<string, unknown>;
  const stop = new AbortController();
  const stream = await fetch(`${page.url}/api/events`, { signal: stop.signal });
  expect(stream.headers.get("content-type")).toBe("text/event-stream");
  let text = "";
  for await (const part of stream.body ?? []) {
    text += Buffer.from(part).toString();
    if (text.endsWith("\n\n")) break;
  }
  stop.abort();
  const snapshot = JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? "") as Record<string, unknown>;
  expect({ ...snapshot, at: "" }).toEqual({ ...state, at: "" });
});
