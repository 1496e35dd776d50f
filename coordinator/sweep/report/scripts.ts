import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename } from "node:path";

/** A script as it stands in a page, and what a content policy calls it. */
export interface PageScript {
  readonly text: string;
  /** `sha256-…` */
  readonly digest: string;
}

/** What draws plots, minified by its authors. */
export function plotsScript(): PageScript {
  return scriptOf(readFileSync(createRequire(import.meta.url).resolve("echarts/dist/echarts.min"), "utf8"));
}

/** The modules of `page/`, as one script that begins when it is read. */
export function pageScript(): PageScript {
  const modules = modulesFrom(new URL("page/main.js", import.meta.url));
  return scriptOf(`"use strict";\nconst modules = {};\n${modules.join("\n")}\nmodules["main.js"].begin();\n`);
}

const importPattern = /^import \{([^}]*)\} from "\.\/([\w-]+\.js)";$/gm;
const exportPattern = /^export (?:async )?(?:function|class|const) (\w+)/gm;

/**
 * A module and all that it imports, those first, each as a function that leaves its exports in `modules`. It knows only the
 * forms of import and export that the compiler writes for modules of ours, which import nothing but each other.
 */
export function modulesFrom(url: URL, done: Set<string> = new Set()): readonly string[] {
  const name = basename(url.pathname);
  if (done.has(name)) return [];
  done.add(name);
  const text = readFileSync(url, "utf8").replace(/^\/\/# sourceMappingURL=.*$/m, "");
  const imported = [...text.matchAll(importPattern)].map(([, , file = ""]) => file);
  const before = imported.flatMap((file) => modulesFrom(new URL(file, url), done));
  const exported = [...text.matchAll(exportPattern)].map(([, one]) => one);
  const body = text
    .replace(importPattern, (_, names: string, file: string) => {
      return `const {${names.replace(/ as /g, ": ")}} = modules["${file}"];`;
    })
    .replace(/^export /gm, "");
  return [...before, `{\n${body}\nmodules["${name}"] = { ${exported.join(", ")} };\n}`];
}

/** What would end the element that it stands in is an error of ours. */
function scriptOf(text: string): PageScript {
  if (/<\/script|<!--/i.test(text)) throw new TypeError("A script of the page cannot stand in a page");
  return { text, digest: `sha256-${createHash("sha256").update(text).digest("base64")}` };
}
