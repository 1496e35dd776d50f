import { expect, test } from "vitest";
import type { JobNews } from "../../../../coordinator/cli/follow-job.js";
import { createWatchView } from "../../../../coordinator/cli/watch-view.js";
import type { JobRecord } from "../../../../shared/cluster/records.js";
import { eventOf, jobOf } from "../../../support/cluster-records.js";

/** What a view writes of the news, by stream. */
function show(json: boolean, ...news: readonly JobNews[]): { readonly stdout: string; readonly stderr: string } {
  const written = { stdout: "", stderr: "" };
  const stream = (name: "stdout" | "stderr"): NodeJS.WriteStream => {
    const write = (text: string): boolean => {
      written[name] += text;
      return true;
    };
    return { isTTY: false, write } as unknown as NodeJS.WriteStream;
  };
  const view = createWatchView({ json, stdout: stream("stdout"), stderr: stream("stderr") });
  for (const item of news) view.observe(item);
  view.close();
  return written;
}

const base = jobOf("job");
const change = (before: Partial<JobRecord>, record: Partial<JobRecord>): JobNews => ({
  type: "changed",
  before: { ...base, ...before },
  record: { ...base, ...record },
});
const running: Partial<JobRecord> = { state: "running", leader: "c1", starts: 1 };

test.each<[what: string, news: JobNews, shown: string]>([
  [
    "the first look",
    { type: "changed", before: undefined, record: { ...base, ...running } },
    "job: running, led by c1\n",
  ],
  ["a job that was taken up", change({}, { ...running, state: "planning" }), "c1 leads the job\n"],
  ["another leader", change(running, { ...running, leader: "c2" }), "c2 takes over from c1\n"],
  ["waiting", change(running, { ...running, state: "waiting", reason: "no agents" }), "waiting: no agents\n"],
  ["the end of waiting", change({ ...running, state: "waiting" }, running), "Work goes on\n"],
  ["a hand-over", change(running, { ...running, state: "queued" }), "queued again\n"],
  ["a cancellation", change(running, { ...running, cancel: true }), "The job is to be canceled\n"],
  ["a beat that changed nothing", change(running, running), ""],
  ["an event", { type: "told", event: eventOf({ message: "Merging: 3 units" }) }, "Merging: 3 units\n"],
  ["a warning", { type: "told", event: eventOf({ level: "warning", message: "odd" }) }, "warning: odd\n"],
  ["a hostile event", { type: "told", event: eventOf({ message: "\u001b[2Jgone\n" }) }, "\\u001b[2Jgone\\n\n"],
  ["an event for debugging", { type: "told", event: eventOf({ level: "debug" }) }, ""],
  ["what the record says too", { type: "told", event: eventOf({ type: "waiting" }) }, ""],
  [
    "what it took",
    { type: "told", event: eventOf({ type: "committed", fields: { bytesRead: 2e9, bytesWritten: 1e9, seconds: 2 } }) },
    "read 2.00 GB, wrote 1.00 GB, in 2.0 s\n",
  ],
  ["a commit that tells nothing", { type: "told", event: eventOf({ type: "committed" }) }, ""],
  [
    "neglect",
    { type: "neglected", reason: "No coordinator is alive", hasCoordinator: false },
    "No coordinator is alive\n",
  ],
  ["the end of an outage", { type: "connection", isConnected: true }, "NATS is back\n"],
])("people are told of %s", (_, news, shown) => {
  expect(show(false, news)).toEqual({ stdout: "", stderr: shown });
});

test("machines are told everything, an event's own facts beside ours", () => {
  const event = eventOf({
    at: "2026-01-01T00:00:00Z",
    level: "debug",
    type: "unit finished",
    fields: { unit: 3, node: "x" },
  });
  const { stdout, stderr } = show(true, change({}, running), { type: "told", event });
  expect(stderr).toBe("");
  expect(
    stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual([
    { event: "state", job: "job", state: "running", leader: "c1", starts: 1, cancel: false },
    { event: "unit finished", unit: 3, at: "2026-01-01T00:00:00Z", level: "debug", node: "c1", message: "something" },
  ]);
});
