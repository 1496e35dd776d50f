import type { EventView } from "../types.js";
import { byId, make, oncePerFrame, setHash, setText } from "./dom.js";
import { filter, listNote } from "./filters.js";
import type { Page } from "./page.js";
import { stateLabel, theirs } from "./pieces.js";
import { Rows } from "./rows.js";
import { clockTime, matches, oneLine, visible } from "./words.js";

const maxRows = 150;
const choices = [
  ["", "All"],
  ["trouble", "Warnings and errors"],
  ["error", "Errors"],
] as const;

/** What happened, newest first. */
export function drawFeed(page: Page): void {
  const { events } = page.store.contents;
  const rows = new Rows<EventView>(byId("feed"), eventRow);
  const redraw = oncePerFrame(() => {
    const [level, find] = [chosen.choice(), chosen.find()];
    const isWanted = (event: EventView): boolean =>
      (level === "" || event.level === level || (level === "trouble" && event.level !== "info")) &&
      matches(find, event.job, event.node, event.code, event.type, event.message);
    const wanted = [...events.values()].filter(isWanted).sort((a, b) => b.number - a.number);
    const shown = wanted.slice(0, maxRows);
    rows.show(shown.map((event) => [`${event.number} ${event.at}`, event] as const));
    const none = events.size === 0 ? "Nothing was told yet." : "";
    setText(
      byId("feed-note"),
      none || listNote(shown.length, wanted.length, events.size, 0, "events; amalgam logs has those before"),
    );
  });
  const chosen = filter(["feed-level", "feed-find"], choices, redraw);
  page.store.on(["events", "server"], redraw);
  redraw();
}

function eventRow({ at, level, message, node, job, type, code, unit }: EventView) {
  const label = stateLabel();
  label.show(level);
  const open = make("button", { type: "button", class: "plain" }, theirs(job ?? "", { title: oneLine(job ?? "") }));
  open.addEventListener("click", () => setHash(`job=${encodeURIComponent(job ?? "")}`));
  const facts = [type, ...(code === undefined ? [] : [code]), ...(unit === undefined ? [] : [`unit ${unit}`])];
  const meta = make("div", { class: "meta" }, facts.map((fact) => oneLine(fact, 80)).join(" · "), " · ", theirs(node));
  if (job !== undefined) meta.append(" · ", open);
  const when = make("time", { datetime: at, title: visible(at, 40) }, clockTime(at));
  const what = make("div", {}, make("p", { dir: "auto" }, visible(message)), meta);
  const element = make("li", { "data-level": level }, make("div", {}, when, make("div", {}, label.element)), what);
  return { element, update: () => undefined };
}
