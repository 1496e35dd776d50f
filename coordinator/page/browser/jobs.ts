import type { JobView } from "../types.js";
import { byId, make, setText } from "./dom.js";
import { filter, listNote } from "./filters.js";
import type { Page } from "./page.js";
import { bar, stateLabel, theirs } from "./pieces.js";
import { Rows } from "./rows.js";
import { oncePerFrame, setHash } from "./window.js";
import { ago, duration, matches, oneLine, percent } from "./words.js";

/** Rows that are drawn. */
const maxRows = 100;
const choices = [
  ...[
    ["", "All"],
    ["open", "Not over"],
    ["queued", "Queued"],
    ["running", "Running"],
    ["waiting", "Waiting"],
  ],
  ...[
    ["done", "Done"],
    ["failed", "Failed"],
    ["canceled", "Canceled"],
  ],
] as const;

/** All jobs: those that are not over first, then the latest. */
export function drawJobs(page: Page): void {
  const { jobs } = page.store.contents;
  const rows = new Rows<JobView>(byId("jobs-rows"), (job) => new JobRow(page, job));
  const redraw = oncePerFrame(() => {
    const [state, find] = [chosen.choice(), chosen.find()];
    const isWanted = (job: JobView): boolean =>
      (state === "" || job.state === state || (state === "open" && job.endedAt === undefined)) &&
      matches(find, job.id, job.output, job.submittedBy, job.leader, job.reason, job.code);
    const wanted = [...jobs.values()].filter(isWanted).sort(compare);
    const shown = wanted.slice(0, maxRows);
    rows.show(shown.map((job) => [job.id, job] as const));
    const none = jobs.size === 0 ? "There are no jobs." : "";
    const leftOut = page.store.server?.jobsLeftOut ?? 0;
    setText(byId("jobs-note"), none || listNote(shown.length, wanted.length, jobs.size, leftOut, "job"));
  });
  const chosen = filter(["jobs-state", "jobs-find"], choices, redraw);
  page.store.on(["jobs", "server"], redraw);
  page.onTick(redraw);
  redraw();
}

function compare(a: JobView, b: JobView): number {
  const [overA, overB] = [a.endedAt !== undefined, b.endedAt !== undefined];
  if (overA !== overB) return overA ? 1 : -1;
  const [atA, atB] = [a.endedAt ?? a.submittedAt, b.endedAt ?? b.submittedAt];
  return atA === atB ? (a.id < b.id ? -1 : 1) : atA < atB ? 1 : -1;
}

class JobRow {
  readonly element;
  readonly #page: Page;
  readonly #state = stateLabel();
  readonly #reason = make("small", { class: "reason", dir: "auto" });
  readonly #advice = make("small", { class: "advice reason" });
  readonly #bar = bar("mini bar");
  readonly #share = make("span", { class: "nowrap" });
  readonly #left = make("small", { class: "nowrap" });
  readonly #leader = make("small", { dir: "auto", class: "clip" });
  readonly #when = make("span", { class: "nowrap" });

  constructor(page: Page, { id, output, submittedBy }: JobView) {
    this.#page = page;
    const open = make("button", { type: "button", class: "plain" }, theirs(id));
    open.addEventListener("click", () => setHash(`job=${encodeURIComponent(id)}`));
    const name = make(
      "th",
      { scope: "row" },
      open,
      make("small", { class: "one", dir: "auto", title: oneLine(output) }, oneLine(output)),
    );
    name.append(this.#reason, this.#advice);
    this.element = make(
      "tr",
      { "data-job": id },
      name,
      make("td", {}, this.#state.element, this.#leader),
      make("td", {}, this.#share, this.#bar.element, this.#left),
      make("td", {}, this.#when, make("small", { class: "clip", dir: "auto" }, `by ${oneLine(submittedBy, 80)}`)),
    );
  }

  update(job: JobView): void {
    const { state, cancel, reason, advice, neglect, progress, endedAt, leader, submittedAt, code } = job;
    const isOver = endedAt !== undefined;
    this.#state.show(state, cancel && !isOver ? "to be canceled" : state);
    const why = neglect ?? reason;
    this.#reason.hidden = why === undefined;
    setText(this.#reason, `${code === undefined ? "" : `${oneLine(code, 40)}: `}${oneLine(why ?? "", 600)}`);
    this.#advice.hidden = advice === undefined;
    setText(this.#advice, advice === undefined ? "" : `What to do: ${advice}`);
    const share =
      state === "done"
        ? 1
        : progress === undefined || progress.work === 0
          ? undefined
          : progress.workDone / progress.work;
    this.#bar.element.hidden = share === undefined || isOver;
    this.#bar.show(share ?? 0, "Progress");
    setText(this.#share, share === undefined || (isOver && state !== "done") ? "–" : percent(share));
    const left =
      state === "running" && progress?.etaSeconds !== undefined
        ? `${duration(Math.round(progress.etaSeconds))} left`
        : "";
    const took = isOver
      ? `after ${duration(Math.max(0, Math.round((Date.parse(endedAt) - Date.parse(submittedAt)) / 1_000)))}`
      : left;
    setText(this.#left, took);
    setText(this.#leader, leader === undefined ? "" : `by ${oneLine(leader, 80)}`);
    setText(this.#when, ago(submittedAt, this.#page.now));
  }
}
