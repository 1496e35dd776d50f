import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseTasks } from "../../../../../coordinator/evaluate/tasks/parse.js";
import { readTasks } from "../../../../../coordinator/evaluate/tasks/read.js";
import { AmalgamError } from "../../../../../shared/errors.js";
import { seeded } from "../../../../support/random.js";

const column = (source: string, place: string) => ({ kind: "column", source, place: `/t/tasks.yaml:${place}` });
const jinja = (source: string, place: string) => ({ kind: "jinja", source, place: `/t/tasks.yaml:${place}` });
const data = (path: string, format: string) => ({ paths: [`/t/${path}`], format });

/** One task named `a` with these keys; the first of them is on line 3, column 5. */
function parse(keys: string) {
  const lines = keys.trim().split("\n");
  const text = `tasks:\n  a:\n${lines.map((line) => `    ${line}\n`).join("")}`;
  return parseTasks(text, "/t/tasks.yaml");
}

test("parseTasks() fills in the file's defaults, which a task may change", () => {
  const text = `
defaults: {batch: 8, batch_tokens: 100, limit: 5}
tasks:
  one: {kind: perplexity, data: x.jsonl, text: "{{text}}"}
  two: {kind: perplexity, data: x.jsonl, text: "{{text}}", batch: 2, batch_tokens: 50, limit: 7, expert: wiki, metric: bits_per_byte}
`;
  const tasks = parseTasks(text, "/t/tasks.yaml").map(({ settings: _, ...rest }) => rest);
  const file = "/t/tasks.yaml";
  expect(tasks).toEqual([
    {
      name: "one",
      kind: "perplexity",
      limit: 5,
      batchExamples: 8,
      batchTokens: 100,
      expert: undefined,
      metric: undefined,
      file,
      at: { line: 4, column: 3 },
    },
    {
      name: "two",
      kind: "perplexity",
      limit: 7,
      batchExamples: 2,
      batchTokens: 50,
      expert: "wiki",
      metric: "bits_per_byte",
      file,
      at: { line: 5, column: 3 },
    },
  ]);
  expect(parse('kind: perplexity\ndata: x.jsonl\ntext: "{{t}}"')[0]).toMatchObject({
    limit: undefined,
    batchExamples: 32,
    batchTokens: 8192,
  });
});

const rightCut = { maxTokens: undefined, truncation: "right" };
const leftCut = { maxTokens: undefined, truncation: "left" };
const embedding = { ...rightCut, pooling: undefined, normalize: true };

test.each<[what: string, keys: string, settings: unknown]>([
  [
    "classification of tensors",
    "kind: classification\ndata: d.safetensors\ninput: {pixel_values: px}\nlabel: labels\nlabels: [no, 1]",
    {
      data: data("d.safetensors", "safetensors"),
      id: undefined,
      ...rightCut,
      input: { kind: "tensors", columns: { pixel_values: "px" } },
      label: column("labels", "6:12"),
      labels: ["no", "1"],
      prompts: [],
    },
  ],
  [
    "classification of pairs of texts",
    'kind: classification\ndata: [a.csv, b.csv]\ntext: "{{a}}"\ntext_pair: "{{b}}"\nlabel: "{{l}}"\nmax_tokens: 128\ntruncation: left\nid: n',
    {
      data: { paths: ["/t/a.csv", "/t/b.csv"], format: "csv" },
      id: column("n", "10:9"),
      maxTokens: 128,
      truncation: "left",
      input: { kind: "text", text: jinja("{{a}}", "5:11"), pair: jinja("{{b}}", "6:16") },
      label: jinja("{{l}}", "7:12"),
      labels: undefined,
      prompts: [],
    },
  ],
  [
    "classification of a folder of images with prompts",
    'kind: classification\ndata: {path: pets, format: images}\nprompts: ["a photo of a {{label}}."]',
    {
      data: data("pets", "images"),
      id: undefined,
      ...rightCut,
      input: { kind: "image", image: column("file", "3:5") },
      label: column("label", "3:5"),
      labels: undefined,
      prompts: [jinja("a photo of a {{label}}.", "5:15")],
    },
  ],
  [
    "multiple choice",
    'kind: multiple_choice\ndata: arc.jsonl\nprompt: "Q: {{q}}"\nchoices: "{{choices.text}}"\nanswer: answer',
    {
      data: data("arc.jsonl", "jsonl"),
      id: undefined,
      ...leftCut,
      prompt: jinja("Q: {{q}}", "5:13"),
      choices: jinja("{{choices.text}}", "6:14"),
      answer: column("answer", "7:13"),
      delimiter: " ",
      chat: false,
    },
  ],
  [
    "multiple choice of fixed words",
    'kind: multiple_choice\ndata: b.jsonl\nprompt: "{{q}}"\nchoices: [yes, "{{other}}"]\nanswer: a\ndelimiter: ""\nchat: true',
    {
      data: data("b.jsonl", "jsonl"),
      id: undefined,
      ...leftCut,
      prompt: jinja("{{q}}", "5:13"),
      choices: [jinja("yes", "6:15"), jinja("{{other}}", "6:20")],
      answer: column("a", "7:13"),
      delimiter: "",
      chat: true,
    },
  ],
  [
    "perplexity",
    'kind: perplexity\ndata: w.parquet\ntext: "{{text}}"\nwindow: 1024\nstride: 512',
    { data: data("w.parquet", "parquet"), id: undefined, text: jinja("{{text}}", "5:11"), window: 1024, stride: 512 },
  ],
  [
    "generation",
    `kind: generation\ndata: g.jsonl\nprompt: "{{q}}"\nanswer: a\nuntil: ["\\n\\n"]\nextract: '(-?\\d+)'\nignore_case: true`,
    {
      data: data("g.jsonl", "jsonl"),
      id: undefined,
      ...leftCut,
      prompt: jinja("{{q}}", "5:13"),
      answer: column("a", "6:13"),
      maxNewTokens: 64,
      until: ["\n\n"],
      extract: { pattern: "(-?\\d+)", take: "first" },
      ignoreCase: true,
      ignorePunctuation: false,
      chat: false,
    },
  ],
  [
    "similarity",
    'kind: similarity\ndata: {path: s.txt, format: tsv}\nfirst: "{{a}}"\nsecond: "{{b}}"\nscore: score\npooling: cls\nnormalize: false',
    {
      data: data("s.txt", "tsv"),
      id: undefined,
      ...embedding,
      pooling: "cls",
      normalize: false,
      first: jinja("{{a}}", "5:12"),
      second: jinja("{{b}}", "6:13"),
      score: column("score", "7:12"),
    },
  ],
  [
    "retrieval",
    'kind: retrieval\ncorpus: {data: c.jsonl, id: _id, text: "{{text}}"}\nqueries: {data: q.jsonl, id: _id, text: "{{text}}"}\nrelevance: {data: r.tsv, query: query-id, document: corpus-id, score: score}\nquery_prefix: "query: "',
    {
      ...embedding,
      corpus: {
        data: data("c.jsonl", "jsonl"),
        id: column("_id", "4:33"),
        text: jinja("{{text}}", "4:44"),
        prefix: "",
      },
      queries: {
        data: data("q.jsonl", "jsonl"),
        id: column("_id", "5:34"),
        text: jinja("{{text}}", "5:45"),
        prefix: "query: ",
      },
      relevance: {
        data: data("r.tsv", "tsv"),
        query: column("query-id", "6:37"),
        document: column("corpus-id", "6:57"),
        score: column("score", "6:75"),
      },
      at: 10,
    },
  ],
  [
    "multi-label",
    'kind: multi_label\ndata: t.parquet\ntext: "{{c}}"\nlabels: [x, y]\nanswers: [is_x, is_y]\nthreshold: 0.25',
    {
      data: data("t.parquet", "parquet"),
      id: undefined,
      ...rightCut,
      input: { kind: "text", text: jinja("{{c}}", "5:11"), pair: undefined },
      labels: ["x", "y"],
      answers: [column("is_x", "7:15"), column("is_y", "7:21")],
      threshold: 0.25,
    },
  ],
  [
    "custom",
    'kind: custom\ndata: x.jsonl\nmodule: ./score.mjs\ntext: "{{t}}"\noutput: vectors',
    {
      data: data("x.jsonl", "jsonl"),
      id: undefined,
      ...embedding,
      input: { kind: "text", text: jinja("{{t}}", "6:11"), pair: undefined },
      module: "/t/score.mjs",
      output: "vectors",
    },
  ],
])("parseTasks() reads %s", (_what, keys, settings) => {
  expect(parse(keys)[0]?.settings).toEqual(settings);
});

const start = 'kind: classification\ndata: x.jsonl\ntext: "{{t}}"\nlabel: l';

test.each<[what: string, keys: string, complaints: readonly string[]]>([
  ["a misspelt key", `${start}\nprompt: [a]`, ['7:5  Unknown key "prompt", did you mean "prompts"?']],
  ["a key of another kind", `${start}\nwindow: 4`, ['7:5  Unknown key "window", expected one of "kind", "batch"']],
  [
    "a misspelt kind",
    "kind: clasification",
    ['3:11  Key "kind" cannot be "clasification", did you mean "classification"?'],
  ],
  ["a misspelt key that was `kind`", "knid: classification", ['3:5  Unknown key "knid", did you mean "kind"?']],
  ["no kind", "data: x.jsonl", ['3:5  Missing key "kind", expected one of "classification", "multiple_choice"']],
  [
    "several at once",
    "kind: perplexity\ntext: text\nwindow: 0\nstrde: 1",
    [
      '3:5  Missing key "data"',
      '4:11  Key "text" says the same for every row, write "{{text}}"',
      '5:13  Key "window" must be a whole number from 2 to 1048576, found the number 0',
      '6:5  Unknown key "strde", did you mean "stride"?',
    ],
  ],
  [
    "a template that does not parse",
    `kind: perplexity\ndata: x.jsonl\ntext: "a {{ b + }}"`,
    ['5:11  Not a valid template: "{{ b + }}" at character 3 of it does not parse'],
  ],
  [
    "a format that the name does not tell",
    "kind: perplexity\ndata: x.txt\ntext: '{{t}}'",
    ['4:11  Cannot tell the format of "x.txt", name it ".jsonl"'],
  ],
  [
    "two formats",
    "kind: perplexity\ndata: [x.csv, y.tsv]\ntext: '{{t}}'",
    ['4:19  "y.tsv" is of another format than "x.csv", all files of a task must be of one'],
  ],
  [
    "an unknown format",
    "kind: perplexity\ndata: {path: x.txt, format: jsnl}\ntext: '{{t}}'",
    ['4:33  Key "format" cannot be "jsnl", did you mean "jsonl"?'],
  ],
  ["two inputs", `${start}\nimage: i`, ['7:5  Key "image" cannot stand beside "text", remove one of them']],
  [
    "no input",
    "kind: classification\ndata: x.jsonl\nlabel: l",
    ['3:5  Missing one of the keys "input", "text", "image"'],
  ],
  [
    "half a pair",
    "kind: classification\ndata: x.jsonl\nlabel: l\nimage: i\ntext_pair: '{{t}}'",
    ['7:5  Key "text_pair" needs the key "text" beside it'],
  ],
  [
    "tensors from CSV",
    "kind: classification\ndata: x.csv\nlabel: l\ninput: {x: y}",
    ['6:5  Key "input" feeds tensors or lists of numbers, which safetensors, parquet and jsonl have, and csv has not'],
  ],
  ["labels twice", `${start}\nlabels: [a, b, a]`, ['7:20  Label "a" appears twice']],
  [
    "a prompt for no class",
    `${start}\nprompts: ["a {{photo}}"]`,
    ['7:15  A prompt must name its class, as in "a photo of a {{label}}."'],
  ],
  [
    "a stride beyond the window",
    "kind: perplexity\ndata: x.jsonl\ntext: '{{t}}'\nwindow: 8\nstride: 9",
    ["7:13  Stride 9 is longer than window 8"],
  ],
  [
    "a broken pattern",
    "kind: generation\ndata: x.jsonl\nprompt: '{{t}}'\nanswer: a\nextract: '('",
    ["7:14  Not a valid pattern: Invalid regular expression"],
  ],
  [
    "a threshold too high",
    "kind: multi_label\ndata: x.jsonl\ntext: '{{t}}'\nanswers: a\nthreshold: 2",
    ['7:16  Key "threshold" must be a number from 0 to 1, found the number 2'],
  ],
  [
    "answers that do not fit the labels",
    "kind: multi_label\ndata: x.jsonl\ntext: '{{t}}'\nlabels: [a, b]\nanswers: [x]",
    ['7:14  Key "answers" lists 1 columns, and there are 2 labels'],
  ],
  [
    "a misspelt key inside",
    "kind: retrieval\ncorpus: {data: c.jsonl, id: i, txt: '{{t}}'}\nqueries: {data: q.jsonl, id: i, text: '{{t}}'}\nrelevance: {data: r.tsv, query: q}",
    ['4:36  Unknown key "txt", did you mean "text"?', '6:16  Missing key "document"'],
  ],
  ["a metric of another kind", `${start}\nmetric: bleu`, ['7:13  Unknown metric "bleu", expected one of "acc"']],
  [
    "a misspelt metric",
    "kind: perplexity\ndata: x.jsonl\ntext: '{{t}}'\nmetric: bits_per_bite",
    ['6:13  Unknown metric "bits_per_bite", did you mean "bits_per_byte"?'],
  ],
  [
    "a limit of nothing",
    `${start}\nlimit: 0`,
    ['7:12  Key "limit" must be a whole number from 1 to 10000000, found the number 0'],
  ],
])("parseTasks() complains about %s, with its place", (_what, keys, complaints) => {
  const message = messageOf(() => parse(keys));
  const lines = message.split("\n").map((line) => line.replace("/t/tasks.yaml:", ""));
  expect(lines.map((line, index) => line.slice(0, complaints[index]?.length))).toEqual(complaints);
});

test.each<[text: string, problem: string]>([
  ["", "1:1  The task file is empty"],
  ["- a", "1:1  A task file must be a mapping, found a list"],
  ["task: {a: {}}", '1:1  Unknown key "task", did you mean "tasks"?'],
  ["tasks: {}", '1:8  Key "tasks" is an empty mapping'],
  ["tasks: {a: 3}", '1:12  Task "a" must be a mapping, found the number 3'],
  ["tasks:\n  a: {kind: perplexity}\n  a: {kind: perplexity}", '3:3  Key "a" appears twice, first on line 2'],
  ["defaults: {bach: 3}\ntasks: {a: 3}", '1:12  Unknown key "bach", did you mean "batch"?'],
  ["tasks: {a: &x {kind: *y}}", 'Alias "*y" has no anchor'],
  ['tasks: {"a\\e[2J": 3}', 'Task name "a\\u001b[2J" must have 1 to 100 characters, none of them invisible'],
])("parseTasks(%j) says what is wrong with the file", (text, problem) => {
  expect(messageOf(() => parseTasks(text, "tasks.yaml"))).toContain(problem);
});

test("parseTasks() answers every text with tasks or with complaints that have a place, seed 5", () => {
  const random = seeded(5);
  const good = `defaults: {batch: 8}
tasks:
  a: {kind: classification, data: x.jsonl, text: "{{a}} {% if b %}c{% endif %}", label: l, labels: [x, y]}
  b:
    kind: generation
    data: {path: [y.csv], format: csv}
    prompt: "{{q}}"
    answer: a
    extract: {pattern: "(a+)", take: last}
`;
  const pieces = [
    "{{",
    "}}",
    "{%",
    "[",
    "]",
    "{",
    "}",
    ":",
    "\n",
    "  ",
    '"',
    "0",
    "null",
    "-1",
    "kind",
    "&a",
    "*a",
    "~",
    "\u0000",
  ];
  for (let round = 0; round < 400; round++) {
    const from = Math.floor(random() * good.length);
    const piece = pieces[Math.floor(random() * pieces.length)] ?? "";
    const text = good.slice(0, from) + piece + good.slice(from + Math.floor(random() * 6));
    try {
      parseTasks(text, "tasks.yaml");
    } catch (error) {
      expect(error, text).toBeInstanceOf(AmalgamError);
      for (const line of String((error as Error).message).split("\n"))
        expect(line).toMatch(/^tasks\.yaml:\d+:\d+ {2}\S/);
    }
  }
});

test.each([
  "text: {{t}}",
  "text: {{ t['a'] }} and more",
  "text: {% if a %}x{% endif %}",
  "text: {# none #}",
  "prompts: [{{a}}, b]",
  "prompts:\n    - {{a}}",
])("parseTasks() says that a template without quotes needs some: %s", (line) => {
  expect(() => parse(line)).toThrow(
    /:\d+:\d+ {2}Not valid YAML: braces hold a mapping here, put a template in quotes: /,
  );
});

test.each([
  ['text: "Q: {{t}}" more', '"more" is not expected here'],
  ['text: "Q: {{t}}', "a quoted string is still open here"],
  ["text: {a: 1}}", '"}" is not expected here'],
])("parseTasks() takes other slips for what they are: %s", (line, problem) => {
  expect(() => parse(line)).toThrow(`Not valid YAML: ${problem}`);
});

test("parseTasks() names the task file where it is too large", () => {
  const kilobytes = `# ${"x".repeat(1021)}\n`;
  expect(() => parse(kilobytes.repeat(300))).toThrow("1:1  The task file has ");
  expect(() => parse(`text: [${"1,".repeat(66_000)}]`)).toThrow("1:1  The task file has more than 65536 parts");
  expect(() => parse(`a: &a [${"1,".repeat(300)}]\nb: [${"*a,".repeat(300)}]`)).toThrow(
    "Aliases make the task file larger than 65536 parts",
  );
});

test("readTasks() complains of files that are not there, together with all else", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tasks-"));
  try {
    const file = join(folder, "tasks.yaml");
    await writeFile(join(folder, "here.jsonl"), "");
    await mkdir(join(folder, "folder.csv"));
    const custom = 'kind: custom, module: ./score.mjs, text: "{{t}}"';
    await writeFile(
      file,
      `tasks:
  a: {kind: perplexity, data: [here.jsonl, gone.jsonl], text: "{{t}}"}
  b: {${custom}, data: folder.csv}
  c: {kind: classification, data: {path: here.jsonl, format: images}, limt: 3}
`,
    );
    const message = await readTasks(file).then(
      () => "no complaint",
      (error: Error) => error.message,
    );
    expect(message.split("\n").map((line) => line.replaceAll(`${folder}/`, ""))).toEqual([
      'tasks.yaml:2:44  Cannot use "gone.jsonl": it does not exist',
      'tasks.yaml:3:29  Cannot use "score.mjs": it does not exist',
      'tasks.yaml:3:63  Cannot use "folder.csv": it is a folder, not a file',
      'tasks.yaml:4:42  Cannot use "here.jsonl": it is not a folder, which images are read from',
      'tasks.yaml:4:71  Unknown key "limt", did you mean "limit"?',
    ]);
    await expect(readTasks(join(folder, "none.yaml"))).rejects.toThrow("Cannot read task file");
  } finally {
    await rm(folder, { recursive: true });
  }
});

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "no complaint";
}
