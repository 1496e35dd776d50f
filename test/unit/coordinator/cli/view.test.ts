import { expect, test, vi } from "vitest";
import { createView } from "../../../../coordinator/cli/view.js";
import type { JobEvent } from "../../../../coordinator/job.js";

const events: readonly JobEvent[] = [
  { type: "prompts", done: 16, doneBefore: 16, prompts: 64 },
  { type: "prompts", done: 32, doneBefore: 16, prompts: 64 },
  { type: "prompts failed", agent: "a\u001b[2J", reason: "Its memory is full", retryMs: 250 },
];

/** What is written, with seconds between the events. */
function shown(json: boolean): { readonly stdout: string; readonly stderr: string } {
  const written = { stdout: "", stderr: "" };
  const stream = (name: "stdout" | "stderr"): NodeJS.WriteStream => {
    const write = (text: string): void => {
      written[name] += text;
    };
    return { isTTY: false, write } as unknown as NodeJS.WriteStream;
  };
  vi.useFakeTimers({ toFake: ["performance"] });
  try {
    const view = createView({ json, stdout: stream("stdout"), stderr: stream("stderr") });
    for (const event of events) {
      view.observe(event);
      vi.advanceTimersByTime(6_000);
    }
    view.close();
  } finally {
    vi.useRealTimers();
  }
  return written;
}

test("people read how far the base of a mixture is through its prompts, and what went wrong", () => {
  expect(shown(false)).toEqual({
    stdout: "",
    stderr: [
      "running the base on 64 prompts, for the gates, 16 of them done before",
      "running the base 50 %  32/64 prompts  ETA 12s",
      String.raw`running the base failed on a\u001b[2J: Its memory is full; again in 0.3 s`,
      "",
    ].join("\n"),
  });
});

test("machines read the same as events", () => {
  const lines = shown(true).stdout.trim().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toEqual(
    events.map(({ type: event, ...facts }) => ({ event, ...facts })),
  );
});
