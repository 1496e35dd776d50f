import { expect, test } from "vitest";
import { parseContentRange } from "../../../../../shared/remote/http/content-range.js";
import { delayBefore, parseRetryAfter } from "../../../../../shared/remote/http/retry.js";
import { stateOf } from "../../../../../shared/remote/http/validators.js";
import { expiryOf } from "../../../../../shared/remote/hub/locations.js";

test.each([
  ["bytes 0-9/100", { range: { begin: 0, end: 10 }, total: 100 }],
  ["bytes 0-9/*", { range: { begin: 0, end: 10 }, total: undefined }],
  ["bytes */100", { range: undefined, total: 100 }],
  ["bytes 9-0/100", undefined],
  ["bytes 0-100/100", undefined],
  ["bytes -1-5/100", undefined],
  ["bytes 0-99999999999999999999/100", undefined],
  ["items 0-9/100", undefined],
  [undefined, undefined],
])("Content-Range %j", (text, expected) => {
  expect(parseContentRange(text)).toEqual(expected);
});

test.each([
  ["120", 120_000],
  ["Sun, 06 Nov 1994 08:49:37 GMT", 7_000],
  ["Sun, 06 Nov 1994 08:49:00 GMT", 0],
  ["soon", undefined],
  [undefined, undefined],
])("Retry-After %j", (text, expected) => {
  expect(parseRetryAfter(text, Date.UTC(1994, 10, 6, 8, 49, 30))).toBe(expected);
});

test("waits double up to a limit, and half of each is left to chance", () => {
  const patience = {
    tries: 8,
    firstDelayMs: 500,
    maxDelayMs: 3_000,
    maxRetryAfterMs: 60_000,
    connectMs: 1,
    stallMs: 1,
  };
  expect([1, 2, 3, 4, 40].map((failures) => delayBefore(failures, undefined, patience, 0))).toEqual([
    500, 1_000, 2_000, 3_000, 3_000,
  ]);
  expect(delayBefore(1, undefined, patience, 0.999)).toBeCloseTo(250, 0);
  expect(delayBefore(1, 1_000_000, patience)).toBe(60_000);
  // A server that wants no patience does not get less of it.
  expect(delayBefore(2, 0, patience, 0)).toBe(1_000);
});

test.each([
  [{ etag: '"abc"', "last-modified": "Sun, 06 Nov 1994 08:49:37 GMT" }, '"abc"'],
  [{ etag: 'W/"abc"', "last-modified": "Sun, 06 Nov 1994 08:49:37 GMT" }, "Sun, 06 Nov 1994 08:49:37 GMT"],
  [{ etag: 'W/"abc"' }, undefined],
  [{ etag: '"a"b"' }, undefined],
  [{ "last-modified": "yesterday" }, undefined],
])("the state that %j tells is %j", (headers, expected) => {
  expect(stateOf(new Map(Object.entries(headers)))).toBe(expected);
});

test.each([
  ["https://cdn/a?Expires=1700000000&Signature=x", 1_700_000_000_000],
  ["https://cdn/a?X-Amz-Date=20260102T030405Z&X-Amz-Expires=3600", Date.UTC(2026, 0, 2, 4, 4, 5)],
  ["https://cdn/a?X-Amz-Date=20261402T030405Z&X-Amz-Expires=3600", 600_000],
  ["https://cdn/a", 600_000],
  ["https://cdn/a?Expires=soon", 600_000],
])("the signature of %s ends at %d", (url, expected) => {
  expect(expiryOf(new URL(url), 0)).toBe(expected);
});
