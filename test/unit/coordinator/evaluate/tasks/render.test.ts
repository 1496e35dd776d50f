import { expect, test } from "vitest";
import {
  render,
  renderImage,
  renderList,
  renderNumber,
  renderText,
} from "../../../../../coordinator/evaluate/tasks/render.js";
import { isJinja, syntaxErrorOf, type Template } from "../../../../../coordinator/evaluate/tasks/template.js";

function template(source: string): Template {
  return { kind: isJinja(source) ? "jinja" : "column", source, place: "tasks.yaml:4:9" };
}

const fields = {
  question: "Why?",
  "query-id": 7,
  choices: { text: ["one", "two"], label: ["A", "B"] },
  turns: [{ role: "user", content: "hi" }],
  score: 0.5,
  empty: "",
  nothing: null,
  flag: true,
  big: 2n ** 60n,
  image: { bytes: new Uint8Array(3), path: "a.jpg" },
};
const row = { fields, place: "x.jsonl:3" };

// What Jinja2 says too is in test/conformance/evaluate/templates.test.ts.
test.each<[source: string, value: unknown]>([
  ["question", "Why?"],
  ["query-id", 7],
  ['{{ row["query-id"] }}', 7],
  ["{{ big }}", 2n ** 60n],
  ["id {{ big }}", "id 1152921504606846976"],
  ["{{ image.path }}", "a.jpg"],
  ["{{ image.bytes }}", new Uint8Array(3)],
])("render(%j)", (source, value) => {
  expect(render(template(source), row)).toEqual(value);
});

test.each<[source: string, problem: string]>([
  ["qestion", 'x.jsonl:3  No field "qestion", which tasks.yaml:4:9 asks for; did you mean "question"? There are "que'],
  ["Q: {{ qestion }}", 'No field "qestion", which tasks.yaml:4:9 asks for; did you mean "question"?'],
  [
    "{{ choices.txt }}",
    'No field "choices.txt", which tasks.yaml:4:9 asks for; did you mean "text"? There are "text", "lab',
  ],
  ["{{ zzz }}", 'No field "zzz", which tasks.yaml:4:9 asks for; there are "question", "query-id"'],
  ["{{ choices.label.index }}", 'Field "choices.label" is a list without a field "index"'],
  ["{{ turns.content }}", 'Field "turns" is a list without a field "content", name one item with "[0]"'],
  ["{{ question | frobnicate }}", "x.jsonl:3  Cannot fill in the template at tasks.yaml:4:9: "],
  ["{{ range(3) }}", "Cannot fill in the template at tasks.yaml:4:9: "],
  ["{{ raise_exception('x') }}", "Cannot fill in the template at tasks.yaml:4:9: "],
  ["{{ constructor }}", 'No field "constructor"'],
  ["__proto__", 'No field "__proto__"'],
])("render(%j) names the row, the template and what is wrong", (source, problem) => {
  expect(() => render(template(source), row)).toThrow(problem);
});

test("renderImage() takes a path, bytes, or a mapping that has one of them", () => {
  const beside = {
    fields: { image: { bytes: null, path: "b.jpg" }, neither: { bytes: null } },
    place: "x.parquet, row 1",
  };
  expect(renderImage(template("{{ question }}"), row)).toBe("Why?");
  expect(renderImage(template("image"), row)).toEqual(new Uint8Array(3));
  expect(renderImage(template("{{ image.bytes }}"), row)).toEqual(new Uint8Array(3));
  expect(renderImage(template("image"), beside)).toBe("b.jpg");
  expect(() => renderImage(template("neither"), beside)).toThrow(
    'x.parquet, row 1  What tasks.yaml:4:9 asks for must be an image: a path or bytes, or a mapping with "path" or "bytes", found a mapping',
  );
});

test("renderText(), renderNumber() and renderList() take the forms that CSV has too, and refuse others", () => {
  const csv = { fields: { n: "1.5e3", list: '["a", 1]', word: "x", blank: " " }, place: "x.csv:2" };
  expect(renderText(template("score"), row)).toBe("0.5");
  expect(renderText(template("empty"), row)).toBe("");
  expect(renderNumber(template("n"), csv)).toBe(1500);
  expect(renderNumber(template("{{ score }}"), row)).toBe(0.5);
  expect(renderList(template("list"), csv)).toEqual(["a", 1]);
  expect(() => renderText(template("choices"), row)).toThrow(
    "x.jsonl:3  What tasks.yaml:4:9 asks for must be text, found a mapping",
  );
  expect(() => renderText(template("nothing"), row)).toThrow("must be text, found nothing");
  expect(() => renderNumber(template("word"), csv)).toThrow('must be a number, found the text "x"');
  expect(() => renderNumber(template("blank"), csv)).toThrow('must be a number, found the text " "');
  expect(() => renderList(template("word"), csv)).toThrow('must be a list, found the text "x"');
});

test.each<[source: string, problem: string | undefined]>([
  ["{{ a }} and {{ b | upper }}", undefined],
  ["{{ a }} and {{ b + }}", 'Not a valid template: "{{ b + }}" at character 13 of it does not parse'],
  ["{{ a", "Not a valid template: "],
  ["{% if a %}x", "Not a valid template: "],
  ["{% frob %}", "Not a valid template: "],
])("syntaxErrorOf(%j)", (source, problem) => {
  const found = syntaxErrorOf(source);
  if (problem === undefined) expect(found).toBeUndefined();
  else expect(found).toContain(problem);
});
