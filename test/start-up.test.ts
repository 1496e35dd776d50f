import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

// Loading modules is most of what a small merge takes, so each part loads at its start what it always needs and no more.
// Whatever only some jobs need is imported where it is needed.

/** `import … from "x"`, `export … from "x"` and `import "x"`, as the compiler writes them. */
const importPattern = /^(?:import|export)\s(?:[\w$*,{}\s]+?\sfrom\s)?"([^"]+)"/gm;

/** The packages that a module loads, itself and by all that it imports. */
function packagesOf(entry: string): readonly string[] {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const visit = (file: URL): void => {
    if (seen.has(file.href)) return;
    seen.add(file.href);
    for (const [, target = ""] of readFileSync(file, "utf8").matchAll(importPattern)) {
      if (target.startsWith(".")) visit(new URL(target, file));
      else if (!target.startsWith("node:")) packages.add(/^(?:@[^/]+\/)?[^/]+/.exec(target)?.[0] ?? target);
    }
  };
  visit(new URL(`../${entry}`, import.meta.url));
  return [...packages].sort();
}

const rpc = ["@bufbuild/protobuf", "@grpc/grpc-js"];

test.each([
  ["coordinator/main.js", ["commander"]],
  ["coordinator/cli/merge.js", [...rpc, "@huggingface/tokenizers", "cli-progress", "yaml"]],
  ["node-agent/embedded.js", rpc],
  ["node-agent/worker.js", []],
  ["coordinator/assemble/reading-worker.js", []],
])("%s loads %j at its start and no other package", (entry, packages) => {
  expect(packagesOf(entry)).toEqual(packages);
});
