import type { JobView } from "../types.js";
import { byId, setText } from "./dom.js";
import type { Page } from "./page.js";
import { Rows } from "./rows.js";
import { oncePerFrame } from "./window.js";
import { count } from "./words.js";
import { type Work, WorkCard } from "./work-card.js";

/** Jobs with a card of their own. */
const maxCards = 12;
/** In the order in which they are shown. */
const atWork: readonly JobView["state"][] = ["committing", "running", "planning", "waiting"];

/** The jobs that are led now, each with its units; where there are none, the one that ended last. */
export function drawWork(page: Page): void {
  const { jobs, units } = page.store.contents;
  const rows = new Rows<Work>(byId("work"), (work) => new WorkCard(page, work));
  const redraw = oncePerFrame(() => {
    const led = [...jobs.values()].filter(({ state }) => atWork.includes(state)).sort(compare);
    const shown = led.slice(0, maxCards);
    const last = led.length === 0 ? latestWithUnits([...jobs.values()], units) : undefined;
    const cards = last === undefined ? shown : [last];
    rows.show(cards.map((job) => [job.id, { job, units: units.get(job.id) }] as const));
    setText(byId("work-title"), led.length === 0 && last !== undefined ? "Last at work" : "At work");
    const more = led.length - shown.length;
    const none = last === undefined ? "Nothing is being merged. amalgam submit hands in a recipe." : "";
    setText(
      byId("work-note"),
      more > 0 ? `and ${count(more, "more job")} in the list below` : led.length === 0 ? none : "",
    );
  });
  page.store.on(["jobs", "units", "server"], redraw);
  page.onTick(redraw);
  redraw();
}

function compare(a: JobView, b: JobView): number {
  if (a.state !== b.state) return atWork.indexOf(a.state) - atWork.indexOf(b.state);
  return a.submittedAt < b.submittedAt ? -1 : 1;
}

function latestWithUnits(jobs: readonly JobView[], units: ReadonlyMap<string, unknown>): JobView | undefined {
  const over = jobs.filter(({ id, endedAt }) => endedAt !== undefined && units.has(id));
  return over.sort((a, b) => ((a.endedAt ?? "") < (b.endedAt ?? "") ? 1 : -1))[0];
}
