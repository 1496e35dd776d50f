import { describe, expect, test } from "vitest";
import { agreementMatrix } from "../../../../../coordinator/evaluate/results/agreement.js";
import { disagreements } from "../../../../../coordinator/evaluate/results/disagreement.js";
import { scaleOver } from "../../../../../coordinator/evaluate/results/html/scale.js";
import { toHtml } from "../../../../../coordinator/evaluate/results/report.js";
import type { ExampleRecord } from "../../../../../coordinator/evaluate/types.js";
import { madeModel, madeResult, madeTask, meanMetric, recordsOf, someRight } from "../../../../support/made-results.js";

/** Ends of elements that hold other elements; all others here have none. */
const voids = new Set(["meta", "col", "!doctype"]);

/** Reads a page strictly: every element closed in order, every attribute quoted. Returns its text and its elements. */
function parse(page: string): { text: string; elements: readonly string[]; attributes: readonly string[] } {
  const open: string[] = [];
  const elements: string[] = [];
  const attributes: string[] = [];
  let text = "";
  const tokens = /<(\/?)([a-zA-Z!][a-zA-Z0-9]*)((?:\s+[a-zA-Z][\w:-]*(?:="[^"<]*")?)*)\s*(\/?)>|([^<]+)|(<)/g;
  for (const [, slash, name = "", words = "", selfClosed, content, stray] of page.matchAll(tokens)) {
    if (stray !== undefined) throw new Error(`A stray "<" after ${text.slice(-60)}`);
    if (content !== undefined) text += open.at(-1) === "style" ? "" : content;
    else if (slash === "/") expect(open.pop()).toBe(name);
    else {
      elements.push(name.toLowerCase());
      attributes.push(...(words.match(/[a-zA-Z][\w:-]*(?==)/g) ?? []));
      if (selfClosed === "" && !voids.has(name.toLowerCase())) open.push(name);
    }
  }
  expect(open).toEqual([]);
  const plain = text.replace(/&(lt|gt|quot|amp|#39);/g, (_, name: string) => entities[name] ?? "");
  return { text: plain.replace(/\s+/g, " "), elements, attributes };
}

const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', amp: "&", "#39": "'" };

const said = (words: readonly string[], right: string): readonly ExampleRecord[] =>
  words.map((prediction, i) => ({
    id: `q${i}`,
    scores: { acc: prediction === right ? 1 : 0 },
    prediction,
    answer: right,
  }));

const acc = (task: string, scores: readonly number[], expert?: string) =>
  madeTask({ task, metric: meanMetric("acc"), records: recordsOf("acc", scores), ...(expert ? { expert } : {}) });

describe("toHtml()", () => {
  const result = madeResult([
    madeModel("base", "base", [acc("sst2", someRight(50, 100), "tuned"), acc("rte", someRight(40, 100))]),
    madeModel("tuned", "expert", [acc("sst2", someRight(90, 100), "tuned"), acc("rte", someRight(30, 100))]),
    madeModel("merge", "model", [acc("sst2", someRight(72, 100), "tuned"), acc("rte", someRight(41, 100))]),
  ]);

  test("has every number of the table, and the plots", () => {
    const { text, elements } = parse(toHtml(result));
    for (const number of ["0.500", "0.900", "0.720", "0.410", "80.0 %", "55.6 %"]) expect(text).toContain(number);
    expect(text).toContain("merge: 0.720 ±0.0");
    expect(text).toContain("20 examples");
    expect(text).toContain("local-0: cpu");
    expect(elements.filter((name) => name === "circle")).toHaveLength(6);
    expect(elements.filter((name) => name === "rect")).toHaveLength(3);
  });

  test("puts dots and bars where the numbers are", () => {
    const page = toHtml(result);
    const bars = [...page.matchAll(/<rect class="bar" x="([\d.]+)%" y="22%" width="([\d.]+)%"/g)].map(([, , width]) =>
      Number(width),
    );
    expect((bars[2] ?? 0) / (bars[1] ?? 1)).toBeCloseTo(0.8, 2);
    const dots = [...page.matchAll(/<circle class="dot" cx="([\d.]+)%"/g)].map(([, place]) => Number(place));
    const [base = 0, tuned = 0, merge = 0] = dots;
    expect((merge - base) / (tuned - base)).toBeCloseTo((0.72 - 0.5) / (0.9 - 0.5), 2);
  });

  test("needs no network and no script", () => {
    const page = toHtml(result);
    const { elements, attributes } = parse(page);
    for (const name of ["script", "link", "img", "iframe", "object"]) expect(elements).not.toContain(name);
    for (const name of ["src", "href", "onclick", "onerror"]) expect(attributes).not.toContain(name);
    expect(page).toContain("default-src 'none'");
    expect(page).not.toMatch(/https?:|url\(|@import/);
    expect(page).toContain("prefers-color-scheme: dark");
  });

  test("shows hostile text and lets none of it act", () => {
    const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>&amp;</style>\u202e\u0000`;
    const records = said([hostile, "no"], hostile);
    const others = said(["no", "no"], hostile);
    const task = (of: readonly ExampleRecord[]) => ({
      ...madeTask({ task: hostile, metric: meanMetric("acc"), records: of, expert: hostile }),
    });
    const models = [madeModel(hostile, "expert", [task(records)]), madeModel("b", "model", [task(others)])];
    const providers = [{ agent: hostile, provider: hostile, fallback: hostile }];
    const page = toHtml({
      ...madeResult(models.map((model) => ({ ...model, checkpoint: hostile, family: hostile, providers }))),
      taskFile: hostile,
      version: hostile,
    });
    const { text, elements } = parse(page);
    expect(elements).not.toContain("script");
    expect(elements).not.toContain("img");
    expect(elements.filter((name) => name === "style")).toHaveLength(1);
    expect(text).toContain(`✓<script>alert(1)</script>"'><img src=x onerror=alert(2)>&amp;</style>`);
    expect(page).not.toMatch(/[\u202e\0]/);
  });

  test.each([
    ["no models", []],
    ["a model without tasks", [madeModel("a", "model", [])]],
    ["a task without records", [madeModel("a", "model", [acc("t", [])])]],
    ["one record", [madeModel("a", "model", [acc("t", [1])])]],
    ["NaN and infinity", [madeModel("a", "model", [acc("t", [NaN, 1]), acc("u", [Infinity, 1])])]],
    [
      "models with different tasks",
      [madeModel("a", "model", [acc("t", [1, 0])]), madeModel("b", "model", [acc("u", [1, 0])])],
    ],
  ])("is a page of %s", (_, models) => {
    const page = toHtml(madeResult(models));
    parse(page);
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });

  test("cuts long predictions", () => {
    const long = "word ".repeat(10_000);
    const models = ["a", "b"].map((name, i) =>
      madeModel(name, "model", [
        madeTask({ task: "t", metric: meanMetric("acc"), records: said([long], i ? "x" : long) }),
      ]),
    );
    expect(toHtml(madeResult(models)).length).toBeLessThan(20_000);
  });
});

test("agreementMatrix() counts equal predictions, and right and wrong where they are measurements", () => {
  const task = (words: readonly string[]) =>
    madeTask({ task: "t", metric: meanMetric("acc"), records: said(words, "x") });
  const measured = (values: readonly number[]) =>
    madeTask({
      task: "m",
      metric: meanMetric("acc"),
      records: values.map((value, i) => ({ id: String(i), scores: { acc: Math.round(value) }, prediction: value })),
    });
  const [[self, other] = []] = agreementMatrix([
    madeModel("a", "model", [task(["x", "y", "z", "x"]), measured([0.9, 0.2])]),
    madeModel("b", "model", [task(["x", "q", "z"]), measured([0.8, 0.7])]),
  ]);
  expect(self).toEqual({ same: 6, examples: 6 });
  expect(other).toEqual({ same: 3, examples: 5 });
});

test("disagreements() puts the most divided first, in turn of tasks, and leaves out what all did alike", () => {
  const models = [
    [1, 1, 1, 0],
    [1, 0, 1, 0],
    [1, 0, 1, 1],
    [1, 1, 0, 0],
  ].map((scores, i) => madeModel(`m${i}`, "model", [acc("t", scores), acc("u", scores)]));
  const found = disagreements(models, 5).map(({ task, id }) => `${task} ${id}`);
  expect(found).toEqual(["t 1", "u 1", "t 2", "u 2", "t 3"]);
});

test.each([
  [
    [0.2, 0.9],
    [0.2, 0.4, 0.6, 0.8],
  ],
  [
    [5, 5],
    [4.98, 5, 5.02],
  ],
  [[NaN], [0, 0.2, 0.4, 0.6, 0.8, 1]],
])("scaleOver(%j) has ticks at round numbers", (values, ticks) => {
  const scale = scaleOver(values);
  expect(scale.ticks.map((tick) => Number(tick.toFixed(6)))).toEqual(ticks);
  expect(scale.toPercent(Math.min(...values.filter(Number.isFinite)))).toBeGreaterThan(0);
});
