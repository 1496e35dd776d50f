import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { pageHtml } from "./html.js";
import { icon } from "./icon.js";
import { pageStyle } from "./style.js";

/** What a browser loads to show the page. */
export interface Asset {
  readonly path: string;
  readonly type: string;
  readonly text: string;
}

const root = new URL("../../", import.meta.url);
const script = "text/javascript; charset=utf-8";

/** The page, its style, and its modules as the compiler wrote them, each below `/modules/` where it lies below `dist/`. */
export function pageAssets(): readonly Asset[] {
  const modules = modulesFrom(new URL("browser/main.js", import.meta.url));
  return [
    { path: "/", type: "text/html; charset=utf-8", text: pageHtml(modules.map(({ path }) => path)) },
    { path: "/page.css", type: "text/css; charset=utf-8", text: pageStyle },
    { path: "/icon.svg", type: "image/svg+xml", text: icon },
    ...modules,
  ];
}

const importPattern = /^(?:import|export) (?:[^"';]* from )?"(\.[^"]+)";$/gm;

/** A module and all that it imports, that one first. A module that imports anything but files of ours is an error of ours. */
function modulesFrom(url: URL, found = new Map<string, Asset>()): readonly Asset[] {
  const path = `/modules/${fileURLToPath(url).slice(fileURLToPath(root).length)}`;
  if (found.has(path)) return [...found.values()];
  const text = readFileSync(url, "utf8").replace(/^\/\/# sourceMappingURL=.*$/m, "");
  if (/^import (?:[^"]* from )?"[^.]/m.test(text)) throw new TypeError(`A browser cannot load what ${path} imports`);
  found.set(path, { path, type: script, text });
  for (const [, target = ""] of text.matchAll(importPattern)) modulesFrom(new URL(target, url), found);
  return [...found.values()];
}
