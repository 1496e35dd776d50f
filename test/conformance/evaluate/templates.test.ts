import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { render } from "../../../coordinator/evaluate/tasks/render.js";
import { repositoryPath } from "../../support/repository.js";

interface Goldens {
  readonly row: Readonly<Record<string, unknown>>;
  readonly templates: readonly (readonly [source: string, result: unknown])[];
}

const file = repositoryPath("test/conformance/evaluate/templates.json");
const { row, templates } = JSON.parse(readFileSync(file, "utf8")) as Goldens;

test.each(templates)("render(%j) gives what Jinja2 does", (source, result) => {
  const template = { kind: "jinja", source, place: "tasks.yaml:4:9" } as const;
  expect(render(template, { fields: row, place: "x.jsonl:3" })).toEqual(result);
});
