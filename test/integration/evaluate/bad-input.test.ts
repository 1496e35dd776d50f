import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunningAgent, runAgent } from "../../../node-agent/main.js";
import { withWorkplace } from "../../support/command.js";
import { repositoryPath } from "../../support/repository.js";
import { type ModelChanges, type ModelKind, recordsIn, writeModel, writeTasks } from "./models.js";

// What cannot be evaluated is refused in words that name it, before anything runs where that can be known, and leaves
// neither results nor a broken agent behind.

let place: Awaited<ReturnType<typeof withWorkplace>>;
let agent: RunningAgent;

beforeAll(async () => {
  place = await withWorkplace();
  await writeTasks(place.path);
  for (const kind of ["classifier", "encoder", "decoder"] as const) await writeModel(place.path, kind, kind);
  await writeModel(place.at("other"), "classifier", "classifier");
  await place.write("a-file", "");
  await place.write("g.onnx", "not a graph");
  agent = await runAgent({ roots: [place.path], slots: 1, evalThreads: 1 });
});
afterAll(async () => {
  await agent.close();
  await place[Symbol.asyncDispose]();
});

/** Runs `amalgam eval` with paths in the workplace. Words with a dash, an address or a number stay as they are. */
function evaluate(words: readonly string[], out = "out") {
  const isPath = (word: string): boolean => existsSync(place.at(word)) || /\.(yaml|onnx)$/.test(word);
  return place.run("eval", ...words.map((word) => (isPath(word) ? place.at(word) : word)), "--out", place.at(out));
}

interface Refusal {
  readonly what: string;
  readonly words: readonly string[];
  readonly says: string;
}

async function expectRefusal({ words, says }: Omit<Refusal, "what">): Promise<void> {
  const outcome = await evaluate(words);
  expect(outcome.stderr).toContain(says);
  expect([outcome.code, outcome.stdout]).toEqual([2, ""]);
  expect(outcome.stderr).not.toContain("    at ");
  expect(existsSync(place.at("out")) ? await readdir(place.at("out")) : []).toEqual([]);
}

const toAgent = (): readonly string[] => ["--agent", agent.address];

describe("a checkpoint is refused", () => {
  const changes: readonly (readonly [string, ModelChanges, string])[] = [
    ["with an unknown architecture", { config: { model_type: "brt" } }, 'its "model_type" is "brt"'],
    ["without an architecture", { config: { model_type: null } }, 'it has no "model_type"'],
    [
      "with a config of another width",
      { config: { hidden_size: 30 } },
      '"num_attention_heads" is 4, which does not divide the hidden size 30',
    ],
    [
      "without a tensor",
      {
        shapes: (shapes) => {
          delete shapes["bert.encoder.layer.1.output.dense.weight"];
        },
      },
      '"bert.encoder.layer.1.output.dense.weight": the checkpoint has no tensor of this name',
    ],
    [
      "with a tensor of another shape",
      {
        shapes: (shapes) => {
          shapes["classifier.weight"] = [3, 31];
        },
      },
      '"classifier.weight": the graph wants shape [3, 32], the checkpoint has [3, 31]',
    ],
    ["without a tokenizer", { hasTokenizer: false }, 'it has no "tokenizer.json"'],
  ];
  test.each(changes)("%s", async (what, change, says) => {
    const name = what.replaceAll(" ", "-");
    await writeModel(place.path, name, "classifier", change);
    await expectRefusal({ words: [name, "classifier.yaml", ...toAgent()], says });
  });

  test("without a classifier's head, for a classification", async () => {
    const says = 'from "encoder/config.json": the checkpoint has no tensor "classifier.weight"';
    await expectRefusal({ words: ["encoder", "classifier.yaml"], says });
  });

  test.each(["encoder", repositoryPath("examples/digits/base")])(
    "that predicts no tokens, for a perplexity: %s",
    (path) =>
      expectRefusal({
        words: [path, "decoder.yaml", "--task", "texts"],
        says: "needs a model that predicts the next token",
      }),
  );
});

const classification = (data: string, more = ""): string =>
  `tasks:\n  t: {kind: classification, data: ${data}, text: "{{text}}", label: label${more}}\n`;

describe("a task file is refused", () => {
  test.each([
    ["unknown key", classification("labels.jsonl", ", lable: x"), '2:81  Unknown key "lable", did you mean "label"?'],
    [
      "unknown kind",
      "tasks:\n  t: {kind: clasification}\n",
      '2:13  Key "kind" cannot be "clasification", did you mean',
    ],
    [
      "unknown metric",
      classification("labels.jsonl", ", metric: ac"),
      '2:89  Unknown metric "ac", did you mean "acc"?',
    ],
    ["missing data", classification("no.jsonl"), '2:35  Cannot use "no.jsonl": it does not exist'],
    ["no YAML", "tasks: [", "1:9  Not valid YAML"],
    ["no tasks", "tasks: {}\n", '1:8  Key "tasks" is an empty mapping'],
  ])("%s", async (_, text, says) => {
    await place.write("bad.yaml", text);
    await expectRefusal({ words: ["classifier", "bad.yaml"], says: `bad.yaml:${says}` });
  });

  test("unknown --task", () =>
    expectRefusal({
      words: ["classifier", "classifier.yaml", "--task", "lables"],
      says: 'has no task "lables", did you mean "labels"?',
    }));
});

describe("data is refused at its row", () => {
  const row = '{"text": "a", "label": "bad"}\n';
  test.each([
    ["broken JSON", "d.jsonl", `${row}{"text": "the", label}\n`, "d.jsonl:2:17  Not valid JSON"],
    ["an open quote", "d.csv", 'text,label\nthe text,bad\n"the,bad\n', "d.csv:3  A quoted field is still open"],
    ["a short row", "d.csv", "text,label\nthe text,bad\nthe\n", "d.csv:3  The row has 1 field, and the header names 2"],
    ["a label out of range", "d.jsonl", `${row}{"text": "b", "label": 3}\n`, "d.jsonl:2  Class 3 is not one of the 3"],
    [
      "an unknown label",
      "d.jsonl",
      `${row}{"text": "b", "label": "godd"}\n`,
      'd.jsonl:2  Class "godd" is not among the classes "bad", "fair", "good", did you mean "good"?',
    ],
    [
      "a missing field",
      "d.jsonl",
      `${row}{"txt": "b", "label": 1}\n`,
      'd.jsonl:2  No field "text", which data.yaml:2:',
    ],
    ["nothing", "d.jsonl", "", "d.jsonl  There are no rows"],
  ])("%s", async (_, name, text, says) => {
    await place.write(name, text);
    await place.write("data.yaml", classification(name));
    await expectRefusal({ words: ["classifier", "data.yaml", ...toAgent()], says });
  });
});

describe("a command line is refused", () => {
  test.each<Refusal>([
    { what: "without checkpoints", words: ["classifier.yaml"], says: "Nothing to evaluate: name checkpoints" },
    { what: "with one that is not there", words: ["nowhere", "classifier.yaml"], says: "it does not exist" },
    {
      what: "with two checkpoints of one name",
      words: ["classifier", "other/classifier", "classifier.yaml"],
      says: 'Two checkpoints would be called "classifier": name one of them, as in "better=other/classifier"',
    },
    {
      what: "with a graph that is none",
      words: ["classifier", "classifier.yaml", "--graph", "g.onnx"],
      says: 'Cannot read ONNX model "g.onnx": it is not one',
    },
    {
      what: "with a provider that is none",
      words: ["classifier", "classifier.yaml", "--provider", "cud"],
      says: 'Cannot use "cud" for "--provider": it is none of cpu, cuda, webgpu and auto; did you mean "cuda"?',
    },
  ])("$what", (refusal) => expectRefusal(refusal));

  test.each(["a-file", "a-file/out"])("with --out %s", async (out) => {
    const { code, stderr } = await evaluate(["classifier", "classifier.yaml"], out);
    expect(stderr).toContain(`Cannot make the folder "${out}": it is a file, or below one`);
    expect(code).toBe(2);
  });
});

describe("agents that cannot evaluate are named with the reason", () => {
  test("one with --no-eval", async () => {
    await using without = await started({ roots: [place.path], providers: [] });
    const says = "it runs no models (--no-eval)";
    await expectRefusal({ words: ["classifier", "classifier.yaml", "--agent", without.address], says });
  });

  test("one that does not see the files", async () => {
    await using elsewhere = await withWorkplace();
    await using blind = await started({ roots: [elsewhere.path] });
    const says = 'it cannot read "classifier/model-00001-of-00002.safetensors", or has another file there';
    await expectRefusal({ words: ["classifier", "classifier.yaml", "--agent", blind.address], says });
  });

  test("one with too little memory: what it needs and what it may use", async () => {
    await using small = await started({ roots: [place.path], evalMemoryBytes: 16 << 20 });
    const words = ["decoder", "decoder.yaml", "--task", "texts", "--limit", "1", "--agent", small.address];
    const says = /Cannot evaluate "decoder": it needs .* for its weights and about .* the agent may use 16.8 MB/;
    const { code, stderr } = await evaluate(words);
    expect(stderr).toMatch(says);
    expect(stderr).not.toContain("again in");
    expect(code).toBe(2);
    expect(await readdir(place.at("out"))).toEqual([]);
  });
});

function started(options: Parameters<typeof runAgent>[0]) {
  return runAgent({ slots: 1, evalThreads: 1, ...options }).then((running) => ({
    address: running.address,
    [Symbol.asyncDispose]: () => running.close(),
  }));
}

const poisoned: readonly (readonly [ModelKind, string])[] = [
  ["classifier", "classifier.weight"],
  ["decoder", "model.norm.weight"],
  ["encoder", "embeddings.LayerNorm.weight"],
];

test.each(poisoned)(
  "NaN among the weights of a model is NaN among its scores and crashes nothing: %s",
  async (kind, nan) => {
    await writeModel(place.path, `nan-${kind}`, kind, { nan });
    const words = [`nan-${kind}`, `${kind}.yaml`, "--limit", "4", ...toAgent()];
    const { code, stderr } = await evaluate(words, `out-${kind}`);
    expect(stderr).not.toContain("failed");
    expect(code).toBe(0);
    expect(await recordsIn(place.at(`out-${kind}`))).toContain('"NaN"');
  },
);

test("the agent that was there all along evaluates what is good", async () => {
  const { code, stdout } = await evaluate(["classifier", "classifier.yaml", ...toAgent()], "good");
  expect(code).toBe(0);
  expect(stdout).toContain("classifier");
  expect((await readdir(place.at("good"))).sort()).toEqual(["records.jsonl", "report.html", "results.json"]);
});
