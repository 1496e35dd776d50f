import { expect, test } from "vitest";
import type { Route } from "../../../../shared/http/route.js";
import { findRoute } from "../../../../shared/http/router.js";

const answer = () => ({ type: "text/plain", body: "" });
const routes: readonly Route[] = [
  { method: "GET", path: "/", answer },
  { method: "GET", path: "/api/*", answer },
  { method: "GET", path: "/api/jobs/*", answer },
  { method: "POST", path: "/api/jobs/*", answer },
  { method: "GET", path: "/api/jobs/all", answer },
];

test.each([
  ["GET", "/", "/"],
  ["HEAD", "/", "/"],
  ["GET", "/api/", "/api/*"],
  ["GET", "/api/state", "/api/*"],
  ["GET", "/api/jobs/one", "/api/jobs/*"],
  ["POST", "/api/jobs/one", "/api/jobs/*"],
  ["GET", "/api/jobs/all", "/api/jobs/all"],
])("%s %s is answered by %s", (method, path, expected) => {
  const found = findRoute(routes, method, path);
  expect(found.kind === "route" && found.route.path).toBe(expected);
});

test.each(["/api", "/nothing", "//", "/API/state"])("nobody serves %s", (path) => {
  expect(findRoute(routes, "GET", path)).toEqual({ kind: "nobody" });
});

test.each([
  ["POST", "/", "GET, HEAD"],
  ["DELETE", "/api/jobs/one", "GET, POST, HEAD"],
  [undefined, "/", "GET, HEAD"],
])("%s %s is told which methods there are: %s", (method, path, allow) => {
  expect(findRoute(routes, method, path)).toEqual({ kind: "other method", allow });
});
