import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { modulesFrom, pageScript, plotsScript } from "../../../../../coordinator/sweep/report/scripts.js";
import { withTempDir } from "../../../../support/checkpoints.js";

test("modules become one script that does what they do, each once and after those it needs", async () => {
  await using folder = await withTempDir();
  const files = {
    "main.js":
      'import { twice as double, Box } from "./a.js";\nimport { steps } from "./b.js";\nexport const answer = new Box(double(steps.length)).value;\n',
    "a.js":
      'import { steps } from "./b.js";\nsteps.push("a");\nexport function twice(n) { return 2 * n; }\nexport class Box { value; constructor(value) { this.value = value; } }\n',
    "b.js": "export const steps = [];\nconst hidden = 1;\n",
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder.path, name), text);
  const modules = modulesFrom(pathToFileURL(join(folder.path, "main.js")));
  expect(modules).toHaveLength(3);
  const script = `const modules = {};\n${modules.join("\n")}\nmodules["main.js"].answer`;
  expect(runInNewContext(script)).toBe(2);
});

test("scripts of the page hold nothing of modules, and their digests are those of a content policy", () => {
  const page = pageScript();
  expect(page.text).not.toMatch(/^\s*(import|export) /m);
  expect(page.text.match(/^modules\["\w[\w-]*\.js"\] = /gm)?.length).toBeGreaterThan(10);
  for (const { text, digest } of [page, plotsScript()]) {
    expect(digest).toBe(`sha256-${createHash("sha256").update(text).digest("base64")}`);
  }
});
