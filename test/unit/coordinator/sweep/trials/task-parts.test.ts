import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RowCache } from "../../../../../coordinator/evaluate/prepare-context.js";
import { readTaskParts } from "../../../../../coordinator/sweep/trials/task-parts.js";
import { type MadeSweep, specOf } from "../../../../integration/sweep/made-sweeps.js";
import { withTempDir } from "../../../../support/checkpoints.js";

let folder: Awaited<ReturnType<typeof withTempDir>>;
const numbers = Array.from({ length: 12 }, (_, i) => i);

beforeAll(async () => {
  folder = await withTempDir();
  const files: Readonly<Record<string, string>> = {
    "words.jsonl": numbers.map((i) => `{"text": "word ${i}", "label": ${i % 2}}\n`).join(""),
    "others.jsonl": numbers
      .slice(0, 3)
      .map((i) => `{"text": "other ${i}", "label": 0}\n`)
      .join(""),
    "queries.jsonl": numbers.map((i) => `{"id": "q${i}", "text": "query ${i}"}\n`).join(""),
    // Nobody has judged the queries with odd numbers.
    "relevance.csv": `q,d\n${numbers
      .filter((i) => i % 2 === 0)
      .map((i) => `q${i},q0\n`)
      .join("")}`,
    "tasks.yaml": `tasks:
  words: {kind: classification, data: words.jsonl, text: "{{text}}", label: label}
  find:
    kind: retrieval
    corpus: {data: queries.jsonl, id: id, text: "{{text}}"}
    queries: {data: queries.jsonl, id: id, text: "{{text}}"}
    relevance: {data: relevance.csv, query: q, document: d}
`,
    "held.yaml": `tasks:
  words: {kind: classification, data: others.jsonl, text: "{{text}}", label: label}
`,
    "wrong.yaml": `tasks:
  words: {kind: perplexity, data: others.jsonl, text: "{{text}}"}
`,
  };
  await mkdir(folder.path, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder.path, name), text);
});
afterAll(() => folder[Symbol.asyncDispose]());

/** By task: each part with the texts that it has. */
async function read(tasks: MadeSweep["tasks"], more: MadeSweep = {}) {
  const file = join(folder.path, "tasks.yaml");
  const spec = specOf({ tasks: { file, only: ["words"], limit: undefined, ...tasks }, ...more });
  const all = await readTaskParts(spec, new RowCache());
  return all.map(({ parts }) =>
    parts.map(({ part, rows, places }) => ({ part, places, texts: rows.map(({ fields }) => fields["text"]) })),
  );
}

test("without anything to divide, a task has the rows that an evaluation reads", async () => {
  const [words] = await read({ limit: 5 });
  expect(words).toEqual([{ part: 0, places: [0, 1, 2, 3, 4], texts: [0, 1, 2, 3, 4].map((i) => `word ${i}`) }]);
});

test("shuffled rows are the seed's, and a limit takes from all of them", async () => {
  const [words] = await read({ limit: 5, shuffle: true });
  expect(words?.[0]?.places).toHaveLength(5);
  expect(words?.[0]?.places.some((place) => place >= 5)).toBe(true);
  expect(words?.[0]?.texts).toEqual(words?.[0]?.places.map((place) => `word ${place}`));
  expect(await read({ limit: 5, shuffle: true })).toEqual([words]);
  expect(await read({ limit: 5, shuffle: true }, { seed: 1 })).not.toEqual([words]);
});

test("a search that uses rungs has thirds of thirds where none are given", async () => {
  const [words] = await read({}, { usesRungs: true });
  expect(words?.map(({ places }) => places.length)).toEqual([1, 3, 8]);
});

test("of a retrieval the judged queries are divided, and nothing else", async () => {
  const [found] = await read({ only: ["find"], holdOut: 0.5 });
  expect(found?.map(({ part, texts }) => [part, texts])).toEqual([
    [0, ["query 0", "query 2", "query 4"]],
    ["held out", ["query 6", "query 8", "query 10"]],
  ]);
});

test("what is held out may be a file of its own", async () => {
  const [words] = await read({ holdOut: { file: join(folder.path, "held.yaml") } });
  expect(words?.map(({ part, texts }) => [part, texts.length])).toEqual([
    [0, 12],
    ["held out", 3],
  ]);
  expect(words?.[1]?.texts[0]).toBe("other 0");
});

test.each([
  { file: "held.yaml", only: ["find"], problem: 'held.yaml" has no task of that name' },
  { file: "wrong.yaml", only: ["words"], problem: 'wrong.yaml" has it as "perplexity", not "classification"' },
])("examples that cannot be held out are explained: $problem", async ({ file, only, problem }) => {
  await expect(read({ only, holdOut: { file: join(folder.path, file) } })).rejects.toThrow(problem);
});

test("too few examples are explained with the task's place", async () => {
  await expect(read({ limit: 1, holdOut: 0.5 })).rejects.toThrow(
    /tasks\.yaml:2:3 {2}Task "words" has 1 example, 1 of them held out: none is left/,
  );
});
