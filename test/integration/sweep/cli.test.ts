import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { amalgam, withWorkplace } from "../../support/command.js";
import { repositoryPath } from "../../support/repository.js";

const digits = repositoryPath("examples", "digits");

/** A search over two experts, small enough to be over in a second. */
function sweepFile(trials: number): string {
  return `
recipe:
  merge_method: task_arithmetic
  base_model: ${digits}/base
  models:
    - {model: ${digits}/experts/rotated, parameters: {weight: {range: [0, 1], start: 0.5}}}
    - {model: ${digits}/experts/noisy, parameters: {weight: {range: [0, 1], start: 0.5}}}
  dtype: float32
tasks: {file: ${digits}/tasks.yaml, only: [rotated, noisy], limit: 60, hold_out: 0.5}
objective: mean
budget: {trials: ${trials}}
search: random
parallel: 2
`;
}

test("a sweep from its file to a merged checkpoint, and on from there", async () => {
  await using place = await withWorkplace();
  const file = await place.write("digits.yaml", sweepFile(4));
  const folder = place.at("digits.sweep");

  const first = await place.run("sweep", file);
  expect([first.code, first.stderr]).toEqual([0, expect.stringContaining("random over 2 dimensions")]);
  expect(first.stderr).toMatch(
    /^trial \d: mean acc 0\.\d{3}, the best so far \(rotated weight 0\.\d+, noisy weight 0\.\d+\)$/m,
  );
  expect(first.stdout).toMatch(/^random: 4 trials, 240 examples, in .*; its 4 trials are used up$/m);
  expect(first.stdout).toMatch(/^on held-out examples +best +start +base +rotated +noisy +gain +95 % interval$/m);
  expect(first.stdout).toMatch(
    /^mean acc +0\.\d{3} +0\.\d{3} +0\.\d{3} +0\.\d{3} +0\.\d{3} +[+−]?0\.\d{3} +[+−]?0\.\d{3} to [+−]?0\.\d{3}$/m,
  );
  expect(first.stdout).toContain("The best recipe: digits.sweep/best.yaml\n");

  const top = await place.run("sweep", "top", folder, "-n", "2");
  expect(top.stdout.split("\n").slice(0, 2)).toEqual([
    "4 trials, its 4 trials are used up",
    expect.stringMatching(/^trial +mean acc +point$/),
  ]);
  expect(top.stdout.trimEnd().split("\n")).toHaveLength(4);

  const extended = await place.run(
    "sweep",
    "extend",
    folder,
    "--trials",
    "2",
    "--json",
    "--merge-best",
    place.at("best"),
  );
  const events = extended.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(
    events
      .filter(({ event }) => event === "trial")
      .map(({ trial }) => trial)
      .toSorted(),
  ).toEqual([5, 6]);
  expect(events.at(0)).toMatchObject({ event: "started", recorded: 4, budget: { trials: 6 } });
  const done = events.find(({ event }) => event === "done");
  expect(done).toMatchObject({ trials: { total: 6, failed: 0 }, examples: 360 });
  expect(events.at(-1)).toEqual({ event: "merged", output: "best" });
  expect(JSON.parse(await readFile(place.at("best", "amalgam.json"), "utf8"))).toBeDefined();
  const report = JSON.parse((await place.run("sweep", "report", folder, "--json")).stdout);
  expect(report).toEqual({ files: ["digits.sweep/report.html", "digits.sweep/trials.parquet"] });
  const json = JSON.parse((await place.run("sweep", "top", folder, "--json")).stdout);
  expect(json).toMatchObject({ state: "done", trials: 6 });
  expect(json.top).toHaveLength(6);
});

test.each([
  { words: ["sweep", "nothing.yaml"], says: 'Cannot read sweep "nothing.yaml"' },
  {
    words: ["sweep", "top", "nowhere"],
    says: 'There is no sweep in "nowhere": name a folder that "amalgam sweep" made',
  },
  { words: ["sweep", "extend", "nowhere"], says: 'Cannot extend "nowhere": say by what, as in "--trials 50"' },
  { words: ["sweep", "retry", "nowhere"], says: "required option '--failed' not specified" },
  {
    words: ["sweep", "x.yaml", "--agent", "h:1", "--trial-memory", "1GiB"],
    says: 'Cannot use "--trial-memory" with "--agent" or "--nats"',
  },
])("$words is refused: $says", async ({ words, says }) => {
  const { code, stderr } = await amalgam(...words);
  expect([code, stderr]).toEqual([2, expect.stringContaining(says)]);
});

test("help tells of all that can be done with a sweep", async () => {
  const { stdout } = await amalgam("sweep", "--help");
  for (const word of ["--out", "--merge-best", "--trial-memory", "--nats", "resume", "extend", "retry", "top"]) {
    expect(stdout).toContain(word);
  }
  expect((await amalgam("sweep", "extend", "--help")).stdout).toContain("--minutes <n>");
});
