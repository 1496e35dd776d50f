import type { ProgressRecord } from "../../../shared/cluster/records.js";
import type { UnitsRecord } from "../../../shared/cluster/units-record.js";
import type { JobView } from "../types.js";
import { askToCancel } from "./acting.js";
import { type Coloring, colourings } from "./cell-shapes.js";
import { make, setText } from "./dom.js";
import type { PageElement } from "./dom-types.js";
import type { Page } from "./page.js";
import { bar, figures, sparkline, stateLabel } from "./pieces.js";
import { Strip } from "./strip.js";
import { remember, remembered, setHash } from "./window.js";
import { bytes, count, duration, oneLine, percent, rate, sinceThen } from "./words.js";

export interface Work {
  readonly job: JobView;
  readonly units: UnitsRecord | undefined;
}

const coloringNames: Readonly<Record<Coloring, string>> = { state: "State", time: "Time", node: "Node" };
let cards = 0;

/** A job that is worked on, with its units. */
export class WorkCard {
  readonly element: PageElement;
  readonly remove: () => void;
  readonly #page: Page;
  readonly #title = make("button", { type: "button", class: "plain" });
  readonly #state = stateLabel();
  readonly #where = make("p", { class: "where" });
  readonly #because = make("p", { class: "because", dir: "auto" });
  readonly #cancel = make("button", { type: "button", class: "small" }, "Cancel…");
  readonly #bar = bar("bar");
  readonly #figures = figures();
  readonly #spark = sparkline();
  readonly #course = make("p", { class: "note course", "aria-hidden": "true" });
  readonly #unitsTitle = make("h4", {});
  readonly #units: PageElement;
  readonly #strip = new Strip();
  #by = (colourings.find((one) => one === remembered("colour by", "state")) ?? "state") as Coloring;
  #twice = 0;
  #work: Work;

  constructor(page: Page, work: Work) {
    this.#page = page;
    this.#work = work;
    this.#title.addEventListener("click", () => setHash(`job=${encodeURIComponent(this.#work.job.id)}`));
    this.#cancel.addEventListener("click", () => askToCancel(this.#work.job.id));
    const head = make("div", { class: "head" }, this.#unitsTitle, this.#choice());
    this.#units = make("div", { class: "units" }, head, this.#strip.element, this.#strip.legend);
    const titleRow = make("div", { class: "head" }, make("h3", {}, this.#title), this.#state.element, this.#cancel);
    this.element = make(
      "article",
      { class: "card", "data-job": work.job.id },
      ...[
        titleRow,
        this.#where,
        this.#bar.element,
        this.#figures.element,
        this.#spark.element,
        this.#course,
        this.#because,
        this.#units,
      ],
    );
    this.remove = page.onColours(this.#strip.redraw);
  }

  update(work: Work): void {
    this.#work = work;
    const { job, units } = work;
    if (this.#title.textContent === "")
      this.#title.replaceChildren(make("bdi", { dir: "auto", title: oneLine(job.id) }, oneLine(job.id)));
    this.#state.show(job.state, job.cancel ? "to be canceled" : job.state);
    setText(this.#where, [units?.plan?.method, `to ${oneLine(job.output)}`].filter(Boolean).join(" · "));
    this.#cancel.hidden = !this.#page.mayAct || job.cancel || job.endedAt !== undefined;
    const why = job.neglect ?? (job.state === "waiting" || job.state === "queued" ? job.reason : undefined);
    this.#because.hidden = why === undefined;
    setText(this.#because, why === undefined ? "" : `Waits: ${oneLine(why, 600)}`);
    this.#tellProgress(work);
    this.#units.hidden = units === undefined || units.units === 0;
    if (units === undefined || units.units === 0) return;
    const shared = units.unitsPerCell > 1 ? `, ${units.unitsPerCell} to a cell` : "";
    const all = count(units.units, "unit");
    const done = (job.progress?.unitsDone ?? 0).toLocaleString("en");
    setText(
      this.#unitsTitle,
      `${job.endedAt === undefined ? `${oneLine(units.phase)}: ${done} of ` : ""}${all}${shared}`,
    );
    void this.#showUnits(units);
  }

  async #showUnits(units: UnitsRecord): Promise<void> {
    await this.#strip.show(units, this.#by);
    if (this.#twice === this.#strip.twice) return;
    this.#twice = this.#strip.twice;
    this.#tellProgress(this.#work);
  }

  #tellProgress({ job, units }: Work): void {
    const { progress } = job;
    const share = progress === undefined || progress.work === 0 ? 0 : progress.workDone / progress.work;
    this.#bar.element.hidden = progress === undefined;
    this.#bar.show(share, `Progress of ${oneLine(job.id, 80)}`);
    const rates = units?.history.rates ?? [];
    const hasCourse = units !== undefined && rates.length > 1;
    this.#spark.element.style.setProperty("display", hasCourse ? "block" : "none");
    this.#course.hidden = !hasCourse;
    if (hasCourse) {
      const course = `Throughput over ${duration(rates.length * units.history.seconds)}, ${rate(Math.max(...rates))} at most`;
      this.#spark.show(rates, course);
      setText(this.#course, course);
    }
    const isMoving = job.state === "running" && job.neglect === undefined;
    const eta = isMoving ? progress?.etaSeconds : undefined;
    this.#figures.show([
      ...(progress === undefined || progress.work === 0 ? [] : [["done", percent(share)] as const]),
      ...(isMoving && units !== undefined ? [["throughput", rate(units.bytesPerSecond)] as const] : []),
      ...(eta === undefined ? [] : [["time left", duration(Math.round(eta))] as const]),
      ...(progress === undefined ? [] : numbersOf(progress)),
      ...(this.#twice > 0 ? [["units run twice", String(this.#twice)] as const] : []),
      ["led by", job.leader === undefined ? "nobody" : oneLine(job.leader, 60)],
      ...(units === undefined || job.endedAt !== undefined
        ? []
        : [["leads", sinceThen(units.since, this.#page.now)] as const]),
    ]);
  }

  #choice(): PageElement {
    cards += 1;
    const name = `colour-by-${cards}`;
    const labels = colourings.map((by) => {
      const input = make("input", { type: "radio", name, value: by });
      input.checked = by === this.#by;
      input.addEventListener("change", () => {
        this.#by = by;
        remember("colour by", by);
        if (this.#work.units !== undefined) void this.#showUnits(this.#work.units);
      });
      return make("label", {}, input, coloringNames[by]);
    });
    return make("fieldset", { class: "choice" }, make("legend", { class: "unseen" }, "Colour cells by"), ...labels);
  }
}

function numbersOf({ workDone, work, agents, slots, retries }: ProgressRecord): readonly (readonly [string, string])[] {
  return [
    ["read and written", `${bytes(workDone)} of ${bytes(work)}`],
    ["agents", `${agents}, ${count(slots, "slot")}`],
    ["units tried again", String(retries)],
  ];
}
