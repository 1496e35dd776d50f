import { expect, test } from "vitest";
import { workPlace } from "../../../../coordinator/sinks/work-place.js";

test("a folder is its own place", () => {
  expect(workPlace({ output: "/data/merged" })).toBe("/data/merged");
});

test("an address has a place named after it in the staging folder, and no other address has the same", () => {
  const place = (output: string): string => workPlace({ output, staging: "/scratch" });
  expect(place("s3://bucket/models/merged")).toMatch(/^\/scratch\/bucket-models-merged-[0-9a-f]{8}$/);
  expect(place("s3://bucket/models/merged")).toBe(place("s3://bucket/models/merged"));
  expect(place("s3://bucket/models-merged")).not.toBe(place("s3://bucket/models/merged"));
  expect(place(`s3://bucket/${"x".repeat(900)}`).length).toBeLessThan(150);
});
