import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseCard, readSourceCard } from "../../../../coordinator/provenance/source-card.js";
import { withTempDir } from "../../../support/checkpoints.js";

const nothing = { languages: [], datasets: [] };

test("parseCard() reads what the Hub's front matter says", () => {
  const text = `---
license: Apache-2.0
license_name: mine
license_link: https://example.com/terms
language:
- en
- "no"
- en
datasets: squad
pipeline_tag: text-generation
model-index:
- name: x
  results: [{ task: { type: t } }]
---
# Card
license: mit
`;
  expect(parseCard("a", text)).toEqual({
    name: "a",
    license: "apache-2.0",
    licenseName: "mine",
    licenseLink: "https://example.com/terms",
    languages: ["en", "no"],
    datasets: ["squad"],
    pipelineTag: "text-generation",
  });
});

test("parseCard() takes several licences for one that is to be looked at", () => {
  expect(parseCard("a", "---\nlicense: [mit, apache-2.0]\n---\n")).toMatchObject({
    license: "other",
    licenseName: "mit-or-apache-2.0",
  });
});

test.each([
  ["no front matter", "# Card\n---\nlicense: mit\n---\n"],
  ["front matter that does not end", "---\nlicense: mit\n"],
  ["broken YAML", "---\nlicense: [mit\n---\n"],
  ["a list", "---\n- license: mit\n---\n"],
  ["a licence that is a mapping", "---\nlicense: { name: mit }\n---\n"],
  ["a tag", "---\nlicense: !!js/function mit\n---\n"],
  ["control characters", '---\nlicense: "mit\\u001b[31m"\n---\n'],
  ["a line separator", '---\nlicense: "mit\\u2028---"\n---\n'],
  ["a name of a thousand letters", `---\nlicense: ${"x".repeat(1000)}\n---\n`],
  ["nesting that would bring a reader down", `---\nlicense: mit\nx: ${"[".repeat(5_000)}\n---\n`],
  [
    "an alias bomb",
    `---\na: &a [x, x]\n${[..."bcdefghijklmnopqrst"].map((c, i) => `${c}: &${c} [${`*${"abcdefghijklmnopqrs"[i]}, `.repeat(9)}]`).join("\n")}\nlicense: mit\n---\n`,
  ],
])("parseCard() takes %s for a card that says nothing of a licence", (_, text) => {
  expect(parseCard("a", text)).toMatchObject({ name: "a", ...nothing });
  expect(parseCard("a", text).license).toBeUndefined();
});

test("readSourceCard() reads no link out of the model's folder, and passes over what is no file", async () => {
  await using dir = await withTempDir();
  const at = (...parts: readonly string[]): string => join(dir.path, ...parts);
  for (const name of ["sound", "link", "folder", "none"]) await mkdir(at(name));
  await writeFile(at("sound", "README.md"), "---\nlicense: mit\n---\n");
  await symlink(at("sound", "README.md"), at("link", "README.md"));
  await mkdir(at("folder", "README.md"));
  expect((await readSourceCard("x", at("sound"))).license).toBe("mit");
  for (const name of ["link", "folder", "none", "gone"]) {
    expect((await readSourceCard("x", at(name))).license).toBeUndefined();
  }
});
