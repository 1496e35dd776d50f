import { expect, test } from "vitest";
import { maxLostStarts, outcomeOf, refusalOf } from "../../../../coordinator/cluster/outcome.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { jobRecordOf } from "./records.js";

const running = jobRecordOf({ state: "running", starts: 2, leader: "one", digest: "abc" });
const canceled = new AmalgamError("canceled", "Canceled");
const malformed = new AmalgamError("checkpoint_malformed", "Cannot read it");
const at = "2026-01-01T00:01:00Z";

test.each([
  ["a lead that finished is done", {}, undefined, { state: "done", digest: "abc", endedAt: at }],
  [
    "one that finished before it heard of the cancellation too",
    { digest: "def" },
    "cancel",
    { state: "done", digest: "def" },
  ],
  ["one that was canceled, whatever it says of it", malformed, "cancel", { state: "canceled", endedAt: at }],
  [
    "one that failed",
    malformed,
    undefined,
    { state: "failed", code: "checkpoint_malformed", reason: "Cannot read it" },
  ],
  ["one that was handed over", canceled, "shutdown", { state: "queued", startsWell: 2 }],
  [
    "one whose storage has another leader",
    new AmalgamError("fenced", "Generation 3 is at work"),
    undefined,
    { state: "queued", startsWell: 2 },
  ],
  [
    "one that cannot be led here",
    { elsewhere: "Other files" },
    undefined,
    { state: "queued", startsWell: 2, reason: "Other files" },
  ],
  ["one that cannot be led here and was canceled", { elsewhere: "Other files" }, "cancel", { state: "canceled" }],
  ["one that the engine failed", new AmalgamError("bus_failed", "No answer"), undefined, { state: "queued" }],
] as const)("%s", (_, settled, interruption, expected) => {
  expect(outcomeOf(running, settled, interruption, at)).toMatchObject(expected);
});

test.each([
  ["that finished but lost its lease", {}, "lost"],
  ["that failed and lost its lease", malformed, "lost"],
] as const)("a lead %s writes nothing", (_, settled, interruption) => {
  expect(outcomeOf(running, settled, interruption, at)).toBeUndefined();
});

test("only starts that came to nothing count against a job", () => {
  expect(refusalOf(jobRecordOf({ starts: maxLostStarts - 1 }))).toBeUndefined();
  expect(refusalOf(jobRecordOf({ starts: maxLostStarts }))).toMatch(/^It brought down 5 coordinators/);
  expect(refusalOf(jobRecordOf({ starts: 40, startsWell: 36 }))).toBeUndefined();
});
