import type { EventView } from "../types.js";
import { byId, make, setText } from "./dom.js";
import type { PageElement } from "./dom-types.js";
import { filter, listNote } from "./filters.js";
import type { Page } from "./page.js";
import { stateLabel, theirs } from "./pieces.js";
import { Rows } from "./rows.js";
import { oncePerFrame, setHash } from "./window.js";
import { clockTime, dateTime, matches, oneLine, visible } from "./words.js";

const maxRows = 150;
const choices = [
  ["", "All"],
  ["trouble", "Warnings and errors"],
  ["error", "Errors"],
] as const;

/** What happened, newest first. */
export function drawFeed(page: Page): void {
  const { events } = page.store.contents;
  const rows = new Rows<EventView>(byId("feed"), (event) => new EventRow(page, event));
  const redraw = oncePerFrame(() => {
    const [level, find] = [chosen.choice(), chosen.find()];
    const isWanted = (event: EventView): boolean =>
      (level === "" || event.level === level || (level === "trouble" && event.level !== "info")) &&
      matches(find, event.job, event.node, event.code, event.type, event.message);
    const wanted = [...events.values()].filter(isWanted).sort((a, b) => b.number - a.number);
    const shown = wanted.slice(0, maxRows);
    rows.show(shown.map((event) => [`${event.number} ${event.at}`, event] as const));
    const told = `${listNote(shown.length, wanted.length, events.size, 0, "event")} Older ones: amalgam logs.`;
    setText(byId("feed-note"), events.size === 0 ? "Nothing was told yet." : told);
  });
  const chosen = filter(["feed-level", "feed-find"], choices, redraw);
  page.store.on(["events", "server"], redraw);
  page.onTick(redraw);
  redraw();
}

class EventRow {
  readonly element;
  readonly #page: Page;
  readonly #when: PageElement;

  constructor(page: Page, { at, level, message, node, job, type, code, unit }: EventView) {
    this.#page = page;
    const label = stateLabel();
    label.show(level);
    const facts = [type, ...(code === undefined ? [] : [code]), ...(unit === undefined ? [] : [`unit ${unit}`])];
    const meta = make(
      "div",
      { class: "meta" },
      facts.map((fact) => oneLine(fact, 80)).join(" · "),
      " · ",
      theirs(node),
    );
    if (job !== undefined) {
      const open = make("button", { type: "button", class: "plain" }, theirs(job, { title: oneLine(job) }));
      open.addEventListener("click", () => setHash(`job=${encodeURIComponent(job)}`));
      meta.append(" · ", open);
    }
    this.#when = make("time", { datetime: at, title: dateTime(at) });
    const what = make("div", {}, make("p", { dir: "auto" }, visible(message)), meta);
    const head = make("div", {}, this.#when, make("div", {}, label.element));
    this.element = make("li", { "data-level": level }, head, what);
  }

  /** Once the day is over it is told with its date. */
  update({ at }: EventView): void {
    setText(this.#when, clockTime(at, this.#page.now));
  }
}
