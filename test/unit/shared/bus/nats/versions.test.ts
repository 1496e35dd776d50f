import { expect, test } from "vitest";
import { judgeVersion } from "../../../../../shared/bus/nats/versions.js";

test.each([
  ["1.4.1", "problem"],
  ["2.8.4", "problem"],
  ["2.9.0", "warning"],
  ["2.9.10", "warning"],
  ["2.10.19", "ok"],
  ["2.10.20", "warning"],
  ["2.10.22", "warning"],
  ["2.10.23", "ok"],
  ["2.10.27-RC.1", "ok"],
  ["2.15.2", "ok"],
  ["3.0.0", "ok"],
  ["devel", "warning"],
])("judgeVersion() of %s is %s", (version, level) => {
  expect(judgeVersion(version).level).toBe(level);
});
