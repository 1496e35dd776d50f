import { expect, test } from "vitest";
import { combineLicenses } from "../../../../../coordinator/provenance/licenses/combine.js";
import { licenseId } from "../../../../../coordinator/provenance/licenses/conflicts.js";

function of(...licenses: readonly (string | undefined)[]): ReturnType<typeof combineLicenses> {
  return combineLicenses(licenses.map((license, i) => ({ name: "abcdef"[i] ?? "?", license })));
}

test.each<[licenses: readonly (string | undefined)[], license: string | undefined, name: string | undefined]>([
  [["mit"], "mit", undefined],
  [["apache-2.0", "apache-2.0"], "apache-2.0", undefined],
  [["mit", "apache-2.0"], "other", "apache-2.0-and-mit"],
  [["apache-2.0", undefined], "unknown", undefined],
  [[undefined, undefined], undefined, undefined],
  [["llama3.1", "gemma", "llama3.1"], "other", "gemma-and-llama3.1"],
  [["mit", "unknown"], "unknown", undefined],
  [["unknown"], undefined, undefined],
  [["other", "other"], "other", undefined],
])("combineLicenses() of %j is %s", (licenses, license, name) => {
  expect(of(...licenses)).toMatchObject({ license });
  expect(of(...licenses).licenseName).toBe(name);
});

test.each<[licenses: readonly (string | undefined)[], conflicts: readonly RegExp[]]>([
  [["mit", "apache-2.0", "bsd-3-clause", "cc-by-4.0"], []],
  [["llama3.1", "llama3.1"], []],
  [["gpl-3.0", "gpl-3.0"], []],
  [["lgpl-3.0", "gpl-3.0"], []],
  [["cc-by-nc-4.0", "cc-by-nc-sa-4.0"], [/"b" \(cc-by-nc-sa-4\.0\) wants .*, also what comes from "a"/]],
  [["cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"], []],
  [
    ["cc-by-nc-sa-4.0", "mit"],
    [/"a" .* forbids commercial use/, /"a" .* wants the merge shared under its own licence, also what comes from "b"/],
  ],
  [
    ["cc-by-nc-sa-4.0", "cc-by-sa-4.0"],
    [/"a" .* forbids commercial use/, /"a" .* wants .* "b" .* under another/],
  ],
  [["gpl-3.0", "afl-3.0"], [/"a" \(gpl-3\.0\) wants.*"b" \(afl-3\.0\) do not go/]],
  [
    ["other", "other"],
    [/The terms of "a" \(other\)/, /The terms of "b" \(other\)/],
  ],
  [["mit", "unknown"], [/Nothing says under which licence these are: "b"/]],
  [["unknown", "unknown"], []],
  [["cc-by-nc-4.0", "apache-2.0"], [/^"a" \(cc-by-nc-4\.0\) forbids commercial use.* "b" \(apache-2\.0\) allows$/]],
  [["apache-2.0", "cc-by-nc-4.0"], [/^"b" \(cc-by-nc-4\.0\) forbids commercial use/]],
  [["cc-by-nd-4.0"], [/^"a" \(cc-by-nd-4\.0\) lets nobody share/]],
  [
    ["gpl-3.0", "llama3"],
    [/"b" \(llama3\) may not be used to improve/, /"a" \(gpl-3\.0\) wants .* "b" \(llama3\) has some/],
  ],
  [["gpl-2.0", "apache-2.0"], [/"a" \(gpl-2\.0\) wants.*"b" \(apache-2\.0\) do not go/]],
  [
    ["gpl-3.0", "apache-2.0"],
    [/"a" \(gpl-3\.0\) wants the merge shared under its own licence, also what comes from "b"/],
  ],
  [["gpl-3.0", "cc-by-sa-3.0"], [/"a" \(gpl-3\.0\) wants.*under another/]],
  [
    ["llama2", "apache-2.0"],
    [/"a" \(llama2\) may not be used to improve other models.*"b" \(apache-2\.0\) is another/],
  ],
  [["llama3", "llama3.1"], [/terms of use of their own/]],
  [["llama3.1", "apache-2.0"], []],
  [["gemma", "llama3.2"], [/"a" \(gemma\) and "b" \(llama3\.2\) have terms of use of their own/]],
  [["apache-2.0", "somebody's"], [/The terms of "b" \(somebody's\) are not known to Amalgam/]],
  [["apache-2.0", undefined, undefined], [/Nothing says under which licence these are: "b", "c"/]],
  [[undefined, undefined], []],
])("combineLicenses() of %j says who conflicts with whom", (licenses, conflicts) => {
  const found = of(...licenses).conflicts;
  expect(found).toHaveLength(conflicts.length);
  for (const [i, conflict] of conflicts.entries()) expect(found[i]).toMatch(conflict);
});

test("combineLicenses() says each pair of licences once, however many sources have them", () => {
  expect(of("cc-by-nc-4.0", "apache-2.0", "cc-by-nc-4.0", "apache-2.0").conflicts).toHaveLength(1);
});

test("combineLicenses() names the duty that comes with a name", () => {
  const [duty] = of("llama3.1", "apache-2.0").duties;
  expect(duty?.duty).toContain('begin the result\'s name with "Llama"');
  expect(duty?.source).toMatch(/^https:/);
});

test("combineLicenses() takes two licences without a name for two, and one for what it is", () => {
  expect(of("other", "other").isMixed).toBe(true);
  expect(of("other").isMixed).toBe(false);
});

test("combineLicenses() names what Llama 3 wants to be called, which is not what later ones want", () => {
  expect(of("llama3").duties[0]?.duty).toContain('"Built with Meta Llama 3", begin the result\'s name with "Llama 3"');
});

test.each([
  [{ license: "other", licenseName: "llama-3.1" }, "llama3.1"],
  [{ license: "other", licenseName: "Gemma" }, "gemma"],
  [{ license: "other", licenseName: "Qwen Research" }, "qwen-research"],
  [{ license: "other" }, "other"],
])("licenseId() of %j is %s", (source, id) => {
  expect(licenseId({ name: "a", ...source })).toBe(id);
});
