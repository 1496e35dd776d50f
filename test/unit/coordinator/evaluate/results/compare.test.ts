import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compare } from "../../../../../coordinator/cli/compare.js";
import type { Terminal } from "../../../../../coordinator/cli/terminal.js";
import { writeResults } from "../../../../../coordinator/evaluate/results/write.js";
import type { TaskResult } from "../../../../../coordinator/evaluate/types.js";
import { withTempDir } from "../../../../support/checkpoints.js";
import { madeModel, madeResult, madeTask, meanMetric, recordsOf, someRight } from "../../../../support/made-results.js";

const acc = (task: string, scores: readonly number[]): TaskResult =>
  madeTask({ task, metric: meanMetric("acc"), records: recordsOf("acc", scores) });

const records = (ndcg: readonly number[]) => recordsOf("ndcg", ndcg);
const retrieval = (scores: readonly number[]): TaskResult => ({
  ...madeTask({ task: "find", kind: "retrieval", metric: meanMetric("ndcg"), records: records(scores) }),
  metric: "ndcg@3",
  metrics: { "ndcg@3": { value: 0, low: 0, high: 0, higherIsBetter: true } },
  settings: { at: 3 },
});

const work = withTempDir();
const folder = async (name: string): Promise<string> => join((await work).path, name);

beforeAll(async () => {
  const first = madeModel("m", "model", [acc("t", someRight(60, 100)), retrieval([0.2, 0.4, 0.9, 0.1])]);
  const second = madeModel("m", "model", [acc("t", someRight(85, 100)), retrieval([0.3, 0.8, 0.9, 0.6])]);
  const third = madeModel("other", "model", [acc("u", [1, 0])]);
  const short = madeModel("short", "model", [{ ...acc("t", someRight(50, 99)), digest: "1".repeat(64) }]);
  await writeResults(await folder("a"), madeResult([first]));
  await writeResults(await folder("b"), madeResult([second]));
  await writeResults(await folder("many"), madeResult([first, { ...second, name: "n" }, third, short]));
});
afterAll(async () => (await work)[Symbol.asyncDispose]());

/** What the command prints, folders by their own names. */
async function printed(words: readonly string[], options: { task?: string; json?: boolean } = {}): Promise<string> {
  let text = "";
  const write = (more: string): boolean => {
    text += more;
    return true;
  };
  const stdout = { write };
  const { path } = await work;
  const given = words.map((word) => join(path, word));
  const code = await compare(given, { json: false, ...options }, { stdout } as unknown as Terminal).catch((error) => {
    throw new Error(`${error.code}: ${error.message.replaceAll(`${path}/`, "")}`);
  });
  expect(code).toBe(0);
  return text.replaceAll(`${path}/`, "");
}

test("two folders: a line per task with both values, difference, interval, p and wins", async () => {
  const lines = (await printed(["a", "b"])).split("\n");
  expect(lines.slice(0, 3)).toEqual(["a: a:m", "b: b:m", expect.stringMatching(/^task +metric +a +b +b - a/)]);
  expect(lines[3]).toMatch(/^t +acc +0\.600 {2}0\.850 {2}\+0\.250 {2}\+0\.\d+ to \+0\.\d+ +<0\.001 +\d+\/\d+\/\d+$/);
  expect(lines[4]).toMatch(/^find +ndcg@3 +0\.400 {2}0\.650 {2}\+0\.250 {2}.+ 3\/0\/1$/);
});

test("folder:model picks from a folder with many; one task only", async () => {
  const text = await printed(["many:n", "many:m"], { task: "t" });
  expect(text).toMatch(/^a: n\nb: m\n/);
  expect(text).toMatch(/^t +acc +0\.850 {2}0\.600 {2}−0\.250/m);
  expect(text).not.toContain("find");
});

test("--json has the same and the names", async () => {
  const { comparisons } = JSON.parse(await printed(["a", "b"], { json: true }));
  expect(comparisons).toEqual([
    expect.objectContaining({ task: "t", metric: "acc", models: ["a:m", "b:m"], records: 100, test: "mcnemar" }),
    expect.objectContaining({ task: "find", metric: "ndcg@3", test: "bootstrap", isSameInput: true }),
  ]);
  expect(comparisons[0].difference.value).toBeCloseTo(0.25);
});

test.each([
  [["a"], {}, 'usage: Nothing to compare with: "a" is one model; name another folder'],
  [
    ["a", "many"],
    {},
    /^usage: Cannot compare "many": it has 4 models, "m", "n", "other" and 1 more|"short"; name one as/,
  ],
  [["a", "many:shrot"], {}, 'usage: Unknown model "shrot" in "many", did you mean "short"?'],
  [["a", "b"], { task: "fnd" }, 'usage: Model "a:m" has no task "fnd", did you mean "find"?'],
  [["a", "many:other"], {}, 'usage: Cannot compare models that share no task: "m" has "t", "find", "other" has "u"'],
  [
    ["a", "many:short"],
    {},
    'usage: Cannot compare task "t" example by example: "m" has 100, "short" has 99, and only "m" has "99"; evaluate both on the same data',
  ],
  [["a", "absent"], {}, /results\.json": it does not exist; name a folder that "amalgam eval --out" made/],
])("%j %j is refused", async (words, options, message) => {
  await expect(printed(words, options)).rejects.toThrow(message);
});

test("an id that stands for two examples is refused", async () => {
  const twice = { ...acc("t", [1, 0]), records: [...recordsOf("acc", [1]), ...recordsOf("acc", [0])] };
  await writeResults(
    await folder("twice"),
    madeResult([madeModel("x", "model", [twice]), madeModel("y", "model", [twice])]),
  );
  await expect(printed(["twice"])).rejects.toThrow('"x" has "0" more than once; give each example an id of its own');
});
