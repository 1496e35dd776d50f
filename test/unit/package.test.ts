import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { repositoryPath } from "../support/repository.js";

test("what is packed is the commands and all they load, and nothing of tests, benchmarks and examples", () => {
  const text = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: repositoryPath(""),
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [{ files }] = JSON.parse(text) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  expect(paths).toEqual(
    expect.arrayContaining([
      "dist/coordinator/main.js",
      "dist/coordinator/page/browser/main.js",
      "dist/node-agent/main.js",
      "dist/node-agent/worker.js",
      "dist/shared/errors.js",
    ]),
  );
  const compiled = paths.filter((path) => path.startsWith("dist/"));
  const folders = new Set(compiled.map((path) => path.split("/")[1]));
  expect([...folders].toSorted()).toEqual(["coordinator", "node-agent", "shared"]);
});
