import { byId, make, place } from "./dom.js";
import type { Told } from "./strip-words.js";

/** A box beside the pointer. */
export function showTip({ title, lines }: Told, x: number, y: number): void {
  const tip = byId("tip");
  tip.replaceChildren(make("p", {}, make("b", {}, title)), ...lines.map((line) => make("p", { dir: "auto" }, line)));
  tip.hidden = false;
  place(tip, x, y);
}

export function hideTip(): void {
  byId("tip").hidden = true;
}
