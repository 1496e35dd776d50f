import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { expect, test } from "vitest";
import { repositoryPath } from "./support/repository.js";

// Who may import whom. Coordinator and agent meet only in proto/ (as shared/gen) and shared/.
const allowed: Readonly<Record<string, readonly string[]>> = {
  shared: ["shared"],
  coordinator: ["coordinator", "shared"],
  "node-agent": ["node-agent", "shared"],
};

/** The `amalgam` binary is where the two are put together: it alone loads the agent, for `amalgam agent`. */
const compositionRoot = join("coordinator", "main.ts");

/** Inside shared/, arrows point down only: nothing below knows what is built on it. */
const layers: readonly (readonly string[])[] = [
  ["errors.ts", "bytes.ts", "quote.ts", "suggest.ts", "clock.ts", "gen", "child", "shape.ts", "unless-aborted.ts"],
  ["checkpoint", "expression", "linalg", "bus", "log"],
  ["methods", "rpc", "cluster", "onnx", "http", "metrics", "trace", "remote"],
];

const root = repositoryPath("");
const importPattern = /(?:from|import)\s*\(?\s*"(\.[^"]+)"/g;

function sourcesIn(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => join(folder, path));
}

function importsOf(file: string): readonly string[] {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(importPattern)].map(([, target = ""]) =>
    relative(root, resolve(root, dirname(file), target)).replace(/\.js$/, ".ts"),
  );
}

test.each(Object.entries(allowed))("%s/ imports only what it may", (folder, targets) => {
  const files = sourcesIn(folder).filter((file) => file !== compositionRoot);
  expect(files.length).toBeGreaterThan(0);
  const strays = files.flatMap((file) =>
    importsOf(file)
      .filter((target) => !targets.includes(target.split(sep)[0] ?? ""))
      .map((target) => `${file} imports ${target}`),
  );
  expect(strays).toEqual([]);
});

test("inside shared/ imports point down only", () => {
  const layerOf = (file: string): number => layers.findIndex((names) => names.includes(file.split(sep)[1] ?? ""));
  const strays = sourcesIn("shared").flatMap((file) =>
    importsOf(file)
      .filter((target) => layerOf(target) > layerOf(file))
      .map((target) => `${file} imports ${target}`),
  );
  expect(sourcesIn("shared").map(layerOf)).not.toContain(-1);
  expect(strays).toEqual([]);
});

test("no file imports itself in a circle", () => {
  const folders = [...Object.keys(allowed), "test", "bench", "examples"];
  const graph = new Map(folders.flatMap(sourcesIn).map((file) => [file, importsOf(file)] as const));
  const state = new Map<string, "open" | "done">();
  const circles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (state.get(file) === "done") return;
    if (state.get(file) === "open") {
      circles.push([...path.slice(path.indexOf(file)), file].join(" → "));
      return;
    }
    state.set(file, "open");
    for (const target of graph.get(file) ?? []) visit(target, [...path, file]);
    state.set(file, "done");
  };
  for (const file of graph.keys()) visit(file, []);
  expect(circles).toEqual([]);
});
