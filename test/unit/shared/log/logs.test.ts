import { expect, test } from "vitest";
import type { LogFormat, LogLevel } from "../../../../shared/log/log.js";
import { openLog } from "../../../../shared/log/open-log.js";

async function written(format: LogFormat, level: LogLevel = "info") {
  const lines: string[] = [];
  const log = await openLog({ format, level, base: { node: "n1", role: "agent" }, write: (line) => lines.push(line) });
  return { log, lines, parsed: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

test("a line for people is the message, with its job and what is not as it should be before it", async () => {
  const { log, lines } = await written("text");
  log.info("Agent n1 listens on 127.0.0.1:1");
  log.warning("Unit 3 failed", { job: "job-1", unit: 3 });
  log.error("It is over");
  log.debug("nobody wants to know");
  log.with({ job: "job-2" }).info("Planned");
  expect(lines).toEqual([
    "Agent n1 listens on 127.0.0.1:1\n",
    "warning job-1: Unit 3 failed\n",
    "error: It is over\n",
    "info job-2: Planned\n",
  ]);
});

test("a line for machines is one JSON object with what it is about", async () => {
  const { log, parsed } = await written("json", "debug");
  log.with({ job: "job-1" }).warning("Unit 3 failed", { unit: 3, attempt: 2, code: "stalled", trace_id: "ab" });
  log.debug("all");
  expect(parsed()).toEqual([
    {
      ...{ level: "warning", time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/), node: "n1", role: "agent" },
      ...{ job: "job-1", unit: 3, attempt: 2, code: "stalled", trace_id: "ab", msg: "Unit 3 failed" },
    },
    expect.objectContaining({ level: "debug", msg: "all" }),
  ]);
});

test("fields cannot take the place of what the log itself says", async () => {
  const { log, lines, parsed } = await written("json");
  log.info("true", { msg: "forged", level: "error", time: "never" });
  expect(parsed()[0]).toMatchObject({ msg: "true", level: "info" });
  expect(lines[0]?.match(/"(?:msg|level|time)":/g)).toHaveLength(3);
});

const hostile = "a\nerror job-9: forged\u001b[2J\u202Eright\u2028to left\u0085";

test.each(["text", "json"] as const)("no message makes a second line or acts on a terminal, as %s", async (format) => {
  const { log, lines } = await written(format);
  log.warning(hostile, { job: hostile, reason: hostile });
  expect(lines).toHaveLength(1);
  expect(lines[0]?.slice(0, -1)).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
});

test.each(["text", "json"] as const)("a secret is in no line, as %s", async (format) => {
  const { log, lines } = await written(format);
  log.error("Cannot reach tls://me:hunter2hunter2@host", { url: "https://h/f?sig=hunter2hunter2", token: "hunter2" });
  expect(lines.join("")).toContain("Cannot reach tls://");
  expect(lines.join("")).not.toContain("hunter2");
});

test.each(["text", "json"] as const)("a line is no longer than a screen or two, as %s", async (format) => {
  const { log, lines } = await written(format);
  log.info("x".repeat(1_000_000), { field: "y".repeat(1_000_000) });
  expect(lines[0]?.length).toBeLessThan(20_000);
});

test("lines that nobody takes are left out, and counted once somebody does", async () => {
  const lines: string[] = [];
  let waiting = 0;
  const log = await openLog({ base: {}, write: (line) => lines.push(line), waiting: () => waiting });
  log.info("one");
  waiting = 5 << 20;
  log.info("two");
  log.info("three");
  waiting = 0;
  log.info("four");
  expect(lines).toEqual([
    "one\n",
    "warning: Lines of the log that are missing here, for nobody read it: 2\n",
    "four\n",
  ]);
});
