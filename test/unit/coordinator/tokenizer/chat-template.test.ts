import { describe, expect, test } from "vitest";
import { Complaints } from "../../../../coordinator/recipe/complaints.js";
import { builtInTemplates } from "../../../../coordinator/tokenizer/built-in-templates.js";
import {
  type ChatTemplatePlan,
  planChatTemplate,
  withChatTemplate,
} from "../../../../coordinator/tokenizer/chat-template.js";
import { tokenizer } from "./models.js";

const at = { line: 7, column: 16 };
const [a, b, c] = [
  "{{ messages[0]['content'] }} a",
  "{{ messages[0]['content'] }} b",
  "{{ messages[0]['content'] }} c",
];

/** Models with these templates, the one at `base` the base. */
function models(templates: readonly (string | undefined)[], base = -1) {
  return templates.map((template, i) => {
    const others = template === undefined ? {} : { "tokenizer_config.json": { chat_template: template } };
    return { name: `model ${i}`, isBase: i === base, tokenizer: tokenizer("base", others) };
  });
}

function planned(value: string, of = models([])): ChatTemplatePlan {
  const complaints = new Complaints("recipe.yaml");
  const plan = planChatTemplate({ value, at }, of, complaints);
  if (plan === undefined) throw complaints.error();
  return plan;
}

describe("auto", () => {
  test.each([
    ["the most common one", [a, b, undefined, b], 0, b],
    ["the base's among equals", [a, b, c], 1, b],
    ["the first without a base", [undefined, c, b], -1, c],
    ["one that differs only in blanks at its ends", [a, ` ${b}\n`, b], 0, b],
  ])("takes %s", (_, templates, base, expected) => {
    expect(planned("auto", models(templates, base))).toEqual({ template: expected, warnings: [] });
  });

  test("says that there is none", () => {
    expect(planned("auto", models([undefined, ""]))).toEqual({
      template: undefined,
      warnings: ["No model has a chat template, so the output has none either"],
    });
  });
});

test.each([
  ["alpaca", "### Response:"],
  ["chatml", "<|im_start|>"],
  ["exaone", "[|endofturn|]"],
  ["llama3", "<|start_header_id|>"],
  ["mistral", " [/INST]"],
])("%s is built in", (name, part) => {
  const { template } = planned(name);
  expect(template).toBe(builtInTemplates.get(name));
  expect(template).toContain(part);
  expect(template?.match(/\{%/g)?.length).toBe(template?.match(/%\}/g)?.length);
});

test("anything longer with a brace is Jinja", () => {
  expect(planned(a ?? "").template).toBe(a);
});

test.each([
  ["chatlm", 'Chat template "chatlm" is neither a name nor Jinja, did you mean "chatml"?'],
  ["{{ short }}", 'known are "auto", "alpaca", "chatml", "exaone", "llama3", "mistral"'],
  ["a long sentence, but it has no brace", "is neither a name nor Jinja"],
])("%j is complained of", (value, message) => {
  expect(() => planned(value)).toThrow(message);
  expect(() => planned(value)).toThrow("recipe.yaml:7:16");
});

describe("written", () => {
  const json = (files: ReadonlyMap<string, Uint8Array>, name: string): unknown =>
    JSON.parse(Buffer.from(files.get(name) ?? []).toString());

  test("into the config, the rest of which stays", () => {
    const text = '{\n  "model_max_length": 1000000000000000019884624838656,\n  "chat_template": "old"\n}\n';
    const { files } = tokenizer("base", { "tokenizer_config.json": text });
    const changed = withChatTemplate(files, "{{ new }}");
    expect(Buffer.from(changed.get("tokenizer_config.json") ?? []).toString()).toBe(text.replace("old", "{{ new }}"));
    expect([...changed.keys()]).toEqual(["tokenizer.json", "tokenizer_config.json"]);
    expect(changed.get("tokenizer.json")).toBe(files.get("tokenizer.json"));
  });

  test("into a new config where there is none", () => {
    expect(json(withChatTemplate(tokenizer("base").files, "{{ new }}"), "tokenizer_config.json")).toEqual({
      chat_template: "{{ new }}",
    });
  });

  test("wherever the donor has one", () => {
    const files = tokenizer("base", {
      "chat_template.jinja": "old",
      "chat_template.json": { chat_template: "old" },
      "tokenizer_config.json": { chat_template: [{ name: "default", template: "old" }] },
    }).files;
    const changed = withChatTemplate(files, "{{ new }}");
    expect(Buffer.from(changed.get("chat_template.jinja") ?? []).toString()).toBe("{{ new }}");
    expect(json(changed, "chat_template.json")).toEqual({ chat_template: "{{ new }}" });
    expect(json(changed, "tokenizer_config.json")).toEqual({ chat_template: "{{ new }}" });
  });
});
