import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { amalgam, type JsonEvent, startAmalgam, withWorkplace } from "../../support/command.js";
import { repositoryPath } from "../../support/repository.js";
import { recordsIn, writeModel, writeTasks } from "./models.js";

// `amalgam eval` and `amalgam compare` as they are typed.

const digits = (...parts: readonly string[]): string => repositoryPath("examples/digits", ...parts);
const limit = 48;
const digitsWords = [
  ...["eval", "--base", digits("base"), "--expert", digits("experts/rotated"), `inv=${digits("experts/inverted")}`],
  ...[digits("tasks.yaml"), "--task", "rotated", "--task", "inverted", "--limit", String(limit)],
];

let place: Awaited<ReturnType<typeof withWorkplace>>;

beforeAll(async () => {
  place = await withWorkplace();
  await writeTasks(place.path);
  await writeModel(place.path, "good", "classifier");
  await writeModel(place.path, "broken", "classifier", { nan: "classifier.weight" });
});
afterAll(() => place[Symbol.asyncDispose]());

async function evaluateDigits(out: string, ...options: readonly string[]) {
  await using command = startAmalgam([...digitsWords, "--out", place.at(out), ...options]);
  const outcome = await command.ended;
  expect(outcome.code).toBe(0);
  return { ...outcome, events: command.events };
}

test("base, expert and model of the digits example: a table, lines in a pipe, and the same records on five agents", async () => {
  const one = await evaluateDigits("one");
  expect(one.stdout).toMatch(/^ +base base .*\n( +)?expert rotated .*\n +inv /m);
  expect(one.stdout).toContain(place.at("one", "report.html"));
  expect(one.stderr).toMatch(/^\d+ batches, on local-1$/m);
  expect(one.stderr).not.toContain("\u001b");
  const five = await evaluateDigits("five", "--agents", "5", "--json");
  const records = await recordsIn(place.at("one"));
  expect(records.split("\n")).toHaveLength(3 * 2 * limit + 1);
  expect(await recordsIn(place.at("five"))).toBe(records);
  expectEvents(five.events);
});

/** What machines are told, in order. */
function expectEvents(events: readonly JsonEvent[]): void {
  const named = (name: string) => events.filter(({ event }) => event === name);
  expect(named("prepared")).toEqual(
    ["base", "rotated", "inv"].map((model) => ({ event: "prepared", model, family: "vit", tasks: 2 })),
  );
  const [started] = named("started");
  expect(started).toEqual({ event: "started", agents: [1, 2, 3, 4, 5].map((i) => `local-${i}`), batches: 12, done: 0 });
  const examples = named("batch").map((batch) => Number(batch["examples"]));
  expect(examples.reduce((sum, count) => sum + count, 0)).toBe(3 * 2 * limit);
  expect(
    named("scored")
      .map(({ model, task }) => `${model} ${task}`)
      .sort(),
  ).toEqual(["base", "inv", "rotated"].flatMap((model) => [`${model} inverted`, `${model} rotated`]));
  for (const scored of named("scored")) {
    expect(scored).toMatchObject({ kind: "classification", metric: "acc", examples: limit });
    expect(scored["metrics"]).toMatchObject({ acc: { value: expect.any(Number), low: expect.any(Number) } });
    expect(scored).not.toHaveProperty("records");
  }
  expect(named("slice finished")).toHaveLength(named("slice started").length);
  expect(events.at(-1)).toEqual({ event: "done", output: place.at("five") });
}

test("the figures are those of the records", async () => {
  const lines = (await recordsIn(place.at("one"))).trim().split("\n");
  const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const results = JSON.parse(await readFile(place.at("one", "results.json"), "utf8")) as {
    models: { name: string; tasks: { task: string; metrics: { acc: { value: number } } }[] }[];
  };
  for (const { name, tasks } of results.models) {
    for (const { task, metrics } of tasks) {
      const own = records.filter((record) => record["model"] === name && record["task"] === task);
      const right = own.filter(({ prediction, answer }) => prediction === answer);
      expect(own).toHaveLength(limit);
      expect(metrics.acc.value).toBeCloseTo(right.length / limit, 12);
    }
  }
});

test("compare says on which examples two models differ, from one folder or two", async () => {
  await place.run(
    "eval",
    digits("experts/inverted"),
    digits("tasks.yaml"),
    "--limit",
    "48",
    "--out",
    place.at("alone"),
  );
  const outcome = await place.run("compare", `${place.at("one")}:rotated`, place.at("alone"), "--json");
  expect(outcome.code).toBe(0);
  const { comparisons } = JSON.parse(outcome.stdout) as { comparisons: Record<string, unknown>[] };
  expect(comparisons.map(({ task }) => task)).toEqual(["rotated", "inverted"]);
  for (const { models, isSameInput, examples, a, b, difference } of comparisons) {
    expect(models).toEqual(["rotated", "inverted"]);
    expect(isSameInput).toBe(true);
    const { wins, losses, ties } = examples as { wins: number; losses: number; ties: number };
    expect(wins + losses + ties).toBe(limit);
    expect((difference as { value: number }).value).toBeCloseTo(Number(b) - Number(a), 12);
    expect((wins - losses) / limit).toBeCloseTo(Number(b) - Number(a), 12);
  }
  const table = await place.run("compare", place.at("one"), "--task", "rotated");
  expect(table.code).toBe(0);
  expect(table.stdout).toMatch(/a: base\nb: rotated\n(.*\n)*a: base\nb: inv\n/);
});

test.each([
  [["one:rotatd", "alone"], 'Unknown model "rotatd" in "one", did you mean "rotated"?'],
  [["one", "alone"], 'Cannot compare "one": it has 3 models'],
  [["alone"], 'Nothing to compare with: "alone" is one model; name another folder'],
  [["nowhere", "alone"], 'name a folder that "amalgam eval --out" made'],
])("compare %j is refused", async (words, says) => {
  const { code, stderr } = await place.run("compare", ...words.map((word) => place.at(word)));
  expect(stderr).toContain(says);
  expect(code).toBe(2);
});

test("NaN is a word in events, since JSON has no number for it", async () => {
  const words = [place.at("broken"), place.at("classifier.yaml"), "--json", "--limit", "6"];
  const { code, stdout } = await amalgam("eval", ...words);
  expect(code).toBe(0);
  const events = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as JsonEvent);
  expect(events.find(({ event }) => event === "scored")?.["metrics"]).toMatchObject({ logprob: { value: "NaN" } });
});

test("a failure is an event too", async () => {
  const words = [place.at("good"), place.at("decoder.yaml"), "--json"];
  const { code, stdout, stderr } = await amalgam("eval", ...words);
  expect(code).toBe(2);
  const last = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as JsonEvent;
  expect(last).toMatchObject({ event: "failed", code: "checkpoint_mismatch" });
  expect(stderr).toBe(`${last["message"]}\n`);
});

test("--markdown gives the table as Markdown and nothing else", async () => {
  const words = [place.at("good"), place.at("classifier.yaml"), "--limit", "6", "--markdown"];
  const { stdout } = await place.run("eval", ...words);
  expect(stdout).toMatch(/^(\|.*\|\n)+/);
  expect(stdout).toMatch(/^\| good .*\|$/m);
});

test("without --out nothing is written, and the table is all", async () => {
  const { code, stdout } = await place.run("eval", place.at("good"), place.at("classifier.yaml"), "--limit", "6");
  expect(code).toBe(0);
  expect(stdout).toContain("good");
  expect(stdout).not.toContain("report.html");
});
