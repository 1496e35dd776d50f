import { byId, make } from "./dom.js";
import { count } from "./words.js";

export interface Filter {
  /** Empty: all. */
  readonly choice: () => string;
  readonly find: () => string;
}

/** A list to choose from and a field to type into, above a list that they filter. */
export function filter(
  [choose, find]: readonly [string, string],
  choices: readonly (readonly [string, string])[],
  onChange: () => void,
): Filter {
  const [select, input] = [byId(choose), byId(find)];
  select.replaceChildren(...choices.map(([value, name]) => make("option", { value }, name)));
  select.addEventListener("change", onChange);
  input.addEventListener("input", onChange);
  return { choice: () => select.value, find: () => input.value };
}

/** What a list says of itself. */
export function listNote(shown: number, matching: number, all: number, leftOut: number, thing: string): string {
  const missing = leftOut > 0 ? ` ${leftOut.toLocaleString("en")} more are not kept here.` : "";
  if (all === 0) return missing.trim();
  if (shown < matching) return `The first ${shown} of ${count(matching, thing)}; find narrows them down.${missing}`;
  return `${matching === all ? "" : `${matching.toLocaleString("en")} of `}${count(all, thing)}.${missing}`;
}
