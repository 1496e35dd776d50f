import { readdir, readFile, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { withWorkplace } from "../../support/command.js";
import { smallRecipes, writeSmallModels } from "../../support/small-models.js";

// What sources say of their licences, on its way to whoever uses the merge.

async function withLicenses(math: string, code: string) {
  const work = await withWorkplace();
  await writeSmallModels(work.path);
  await work.write("linear.yaml", smallRecipes.linear);
  await work.write("math/README.md", `---\n${math}\n---\n# Math\n`);
  await work.write("code/README.md", `---\n${code}\n---\n# Code\n`);
  return work;
}

async function frontOf(card: string): Promise<unknown> {
  const [, front = ""] = /^---\n([\s\S]*?)\n---\n/.exec(await readFile(card, "utf8")) ?? [];
  return parse(front);
}

test("a conflict is told before any work is done, and in the card", async () => {
  await using work = await withLicenses(
    "license: cc-by-nc-4.0\nlanguage: en",
    "license: apache-2.0\nlanguage: [de, en]",
  );
  await writeFile(work.at("math", "LICENSE"), "terms of math");
  const why =
    '"math" (cc-by-nc-4.0) forbids commercial use, and so does the merge, whatever "code" (apache-2.0) allows';
  const plan = await work.run("plan", work.at("linear.yaml"), "--strict");
  expect([plan.code, plan.stdout]).toEqual([1, expect.stringContaining(`warning: Licences: ${why}`)]);
  const merged = await work.run("merge", work.at("linear.yaml"), work.at("out"), "--slots", "1");
  expect([merged.code, merged.stderr]).toEqual([0, expect.stringContaining(`warning: Licences: ${why}`)]);
  expect(await frontOf(work.at("out", "README.md"))).toMatchObject({
    license: "other",
    license_name: "apache-2.0-and-cc-by-nc-4.0",
    language: ["en", "de"],
  });
  const card = await readFile(work.at("out", "README.md"), "utf8");
  expect(card).toContain("forbids commercial use");
  expect(card).toContain("no legal advice");
  expect(await readdir(work.at("out"))).not.toContain("LICENSE");
});

test("a licence that all sources have is the result's, and its text comes along", async () => {
  const license = "license: llama3.1\npipeline_tag: text-generation\ndatasets: [squad]";
  await using work = await withLicenses(license, license);
  await writeFile(work.at("math", "LICENSE"), "terms of all");
  const merged = await work.run("merge", work.at("linear.yaml"), work.at("out"), "--slots", "1");
  expect([merged.code, merged.stderr]).toEqual([0, expect.not.stringContaining("warning")]);
  expect(await frontOf(work.at("out", "README.md"))).toMatchObject({
    license: "llama3.1",
    pipeline_tag: "text-generation",
    datasets: ["squad"],
  });
  expect(await readFile(work.at("out", "README.md"), "utf8")).toContain('display "Built with Llama"');
  expect(await readFile(work.at("out", "LICENSE"), "utf8")).toBe("terms of all");
  expect((await work.run("verify", work.at("out"))).stdout).toMatch(/^out: sound, 3 files/);
});
