import type { JobDetails } from "../types.js";
import { askToCancel } from "./acting.js";
import { byId, make } from "./dom.js";
import type { PageElement } from "./dom-types.js";
import type { Page } from "./page.js";
import { stateLabel } from "./pieces.js";
import { get } from "./requests.js";
import { hash, onHash, setHash } from "./window.js";
import { bytes, clockTime, count, dateTime, oneLine, visible } from "./words.js";

/** Everything about the job that the page's address names, anew whenever the job gets into another state. */
export function drawDetails(page: Page): void {
  const dialog = byId("details");
  const { jobs } = page.store.contents;
  let isOpen = false;
  let turn = 0;
  let shown = "";
  const look = async (): Promise<void> => {
    const name = nameInHash();
    turn += 1;
    const mine = turn;
    if (name === undefined) {
      if (isOpen) dialog.close();
      return;
    }
    const { status, text, problem } = await get(`/api/jobs/${encodeURIComponent(name)}`);
    // Another one was asked for meanwhile.
    if (mine !== turn) return;
    const why = status === 404 ? "There is no such job, or not any more." : (problem ?? "");
    show(page, name, text === undefined ? why : (JSON.parse(text) as JobDetails));
    shown = stateOf(name);
    if (!isOpen) dialog.showModal();
    isOpen = true;
  };
  const stateOf = (name: string): string => {
    const { state, cancel } = jobs.get(name) ?? {};
    return `${state} ${cancel} ${page.mayAct}`;
  };
  dialog.addEventListener("close", () => {
    isOpen = false;
    if (nameInHash() !== undefined) setHash("");
  });
  byId("details-close").addEventListener("click", () => dialog.close());
  onHash(() => void look());
  page.store.on(["jobs", "server"], () => {
    if (isOpen && stateOf(nameInHash() ?? "") !== shown) void look();
  });
  void look();
}

function nameInHash(): string | undefined {
  const [, name] = /^job=(.+)$/.exec(hash()) ?? [];
  try {
    return name && decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** `job`: or why there is nothing to show. */
function show(page: Page, name: string, job: JobDetails | string): void {
  byId("details-title").replaceChildren(make("bdi", { dir: "auto" }, oneLine(name, 200)));
  byId("details-body").replaceChildren(...(typeof job === "string" ? [make("p", {}, job)] : parts(page, job)));
}

function parts(page: Page, job: JobDetails): readonly PageElement[] {
  const { recipe, events } = job;
  const label = stateLabel();
  label.show(job.state, job.code === undefined ? job.state : `${job.state}: ${oneLine(job.code, 40)}`);
  const isBad = job.state === "failed";
  const why = job.reason ?? job.neglect;
  const because = make("p", { class: isBad ? "because bad" : "because", dir: "auto" }, visible(why ?? "", 10_000));
  const advice = make("p", { class: "because" }, make("b", {}, "What to do: "), job.advice);
  const trouble = events.filter(({ level }) => level !== "info");
  const cancel = make("button", { type: "button", class: "small" }, "Cancel…");
  cancel.addEventListener("click", () => askToCancel(job.id));
  cancel.hidden = !page.mayAct || job.cancel || job.endedAt !== undefined;
  return [
    make("div", { class: "head" }, label.element, cancel),
    ...(why === undefined ? [] : [because]),
    ...(job.advice === undefined ? [] : [advice]),
    facts(job),
    make("h3", {}, "Recipe"),
    make("p", { class: "note", dir: "auto" }, oneLine(recipe.file, 400)),
    make("pre", { tabindex: "0" }, recipeText(recipe.text)),
    make(
      "h3",
      {},
      trouble.length === 0
        ? "What happened"
        : `What happened, ${count(trouble.length, "warning or error", "warnings and errors")}`,
    ),
    list(events.slice(0, 100), page.now),
  ];
}

function facts(job: JobDetails): PageElement {
  const { units } = job;
  const plan = units?.plan;
  const all: (readonly [string, string | undefined])[] = [
    ["Output", job.output],
    ["Handed in", `${dateTime(job.submittedAt)} by ${job.submittedBy}`],
    ["Ended", job.endedAt && dateTime(job.endedAt)],
    [
      "Led by",
      job.leader === undefined
        ? undefined
        : `${job.leader}, start ${job.starts}${units === undefined ? "" : `, since ${dateTime(units.since)}`}`,
    ],
    [
      "Plan",
      plan &&
        `${plan.method} of ${count(plan.models, "model")}: ${count(plan.tensors, "tensor")}, ${bytes(plan.bytes)} in ${count(plan.files, "file")}`,
    ],
    ["Digest", job.digest],
    [
      "Units",
      units &&
        `${count(units.units, "unit")}${job.endedAt === undefined ? `, ${oneLine(units.phase)}` : ""}${units.kept.pieces > 0 ? `; ${count(units.kept.pieces, "piece")} done before` : ""}`,
    ],
    [
      "Written",
      job.assembly === "auto"
        ? "by each agent as it can"
        : job.assembly === "direct"
          ? "by the agents"
          : "by the coordinator",
    ],
  ];
  const rows = all.flatMap(([name, value]) => {
    return value === undefined ? [] : [make("dt", {}, name), make("dd", { dir: "auto" }, oneLine(value, 4_200))];
  });
  return make("dl", { class: "facts" }, ...rows);
}

function list(events: JobDetails["events"], nowMs: number): PageElement {
  const items = events.map(({ at, level, message, node }) => {
    const label = stateLabel();
    label.show(level);
    const when = make(
      "div",
      {},
      make("time", { datetime: at, title: dateTime(at) }, clockTime(at, nowMs)),
      make("div", {}, label.element),
    );
    const what = make(
      "div",
      {},
      make("p", { dir: "auto" }, visible(message)),
      make("div", { class: "meta" }, oneLine(node, 80)),
    );
    return make("li", {}, when, what);
  });
  return items.length === 0
    ? make("p", { class: "note" }, "Nothing is on record any more.")
    : make("ol", { class: "feed" }, ...items);
}

/** Long ones are cut; `GET /api/jobs/ID` has all of it. */
function recipeText(text: string): string {
  const shown = 40_000;
  const cut = text.length > shown ? `\n… ${text.length - shown} more characters` : "";
  return visible(text.slice(0, shown), shown) + cut;
}
