import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { referencesOf } from "../../../../coordinator/plan/references.js";
import { Complaints } from "../../../../coordinator/recipe/complaints.js";
import { parseRecipes } from "../../../../coordinator/recipe/parse.js";
import { remoteNamesOf } from "../../../../coordinator/sources/remote-names.js";
import { withTempDir } from "../../../support/checkpoints.js";

const commit = "0123456789abcdef0123456789abcdef01234567";

async function namesIn(model: string): Promise<{ urls: readonly string[]; complaint: string }> {
  await using folder = await withTempDir();
  await mkdir(join(folder.path, "org", "here"), { recursive: true });
  const file = join(folder.path, "recipe.yaml");
  const { stages } = parseRecipes(`merge_method: passthrough\nmodels: [{ model: ${model} }]\n`, file);
  const complaints = new Complaints("recipe.yaml");
  const names = await remoteNamesOf(stages.flatMap(referencesOf), file, complaints);
  const complaint = complaints.any ? complaints.error().message : "";
  return { urls: [...names.values()].map(({ url }) => url), complaint };
}

test.each<[string, string[]]>([
  ["hf://org/name", ["hf://org/name"]],
  ["hf://org/name@v1.0", ["hf://org/name@v1.0"]],
  [`hf://org/name@${commit}/sub`, [`hf://org/name@${commit}/sub`]],
  ["hf://org/name@refs/pr/3", ["hf://org/name@refs/pr/3"]],
  ["'{ model: { path: hf://org/name/sub, revision: main } }'", []],
  ["{ model: { path: hf://org/name/sub, revision: main } }", ["hf://org/name@main/sub"]],
  ["https://host:8443/a@b/model/", ["https://host:8443/a@b/model"]],
  ["https://host/model.safetensors", ["https://host/model.safetensors"]],
  ["http://127.0.0.1:8080/model", ["http://127.0.0.1:8080/model"]],
  ["s3://bucket/models/a", ["s3://bucket/models/a"]],
  ["org/name", ["hf://org/name"]],
  ["org/name@main", ["hf://org/name@main"]],
  ["org/name@main+org/lora@v2", ["hf://org/name@main", "hf://org/lora@v2"]],
  ["org/here+s3://bucket/lora", ["s3://bucket/lora"]],
  ["org/here", []],
  ["./org/name", []],
  ["../org/name", []],
  ["/org/name", []],
  ["name", []],
  ["a/b/c", []],
  ["org/na--me", []],
  ["node://agent/path", []],
])("%s is at %j", async (model, urls) => {
  expect(await namesIn(model)).toEqual({ urls, complaint: "" });
});

test.each([
  ["http://host/model", 'Cannot use model "http://host/model": it is "http://"'],
  ["https://host/a/../b", 'it has "." or ".." in its path'],
  ["https://me:s3cr3t@host/a", 'Cannot use model "https://host/a": it holds a user or a password'],
  ["'https://host/a?token=s3cr3t'", 'Cannot use model "https://host/a": it has a "?"'],
  ["{ model: { path: s3://bucket/a, revision: main } }", "only models of the Hub have revisions"],
  ["{ model: { path: hf://org/a@v1, revision: main } }", "it has two revisions"],
  ["hf://org", 'it is written "hf://owner/name"'],
])("%s is complained of: %s", async (model, complaint) => {
  const found = await namesIn(model);
  expect(found.urls).toEqual([]);
  expect(found.complaint).toContain(complaint);
  expect(found.complaint).toMatch(/^recipe\.yaml:2:\d+ {2}/);
  expect(found.complaint).not.toContain("s3cr3t");
});
