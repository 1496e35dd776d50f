import type { JobDetails } from "../types.js";
import { byId, get, hash, make, onHash, type PageElement, setHash } from "./dom.js";
import { stateLabel } from "./pieces.js";
import { bytes, clockTime, count, oneLine, visible } from "./words.js";

/** Everything about the job that the page's address names. */
export function drawDetails(): void {
  const dialog = byId("details");
  let isOpen = false;
  let turn = 0;
  const look = async (): Promise<void> => {
    const [, name] = /^job=(.+)$/.exec(hash()) ?? [];
    turn += 1;
    const mine = turn;
    if (name === undefined) {
      if (isOpen) dialog.close();
      return;
    }
    const text = await get(`/api/jobs/${name}`);
    // Another one was asked for meanwhile.
    if (mine !== turn) return;
    show(text === undefined ? undefined : (JSON.parse(text) as JobDetails), name);
    if (!isOpen) dialog.showModal();
    isOpen = true;
  };
  dialog.addEventListener("close", () => {
    isOpen = false;
    if (hash().startsWith("job=")) setHash("");
  });
  byId("details-close").addEventListener("click", () => dialog.close());
  onHash(() => void look());
  void look();
}

function show(job: JobDetails | undefined, name: string): void {
  const title = job?.id ?? decoded(name);
  byId("details-title").replaceChildren(make("bdi", { dir: "auto" }, oneLine(title, 200)));
  byId("details-body").replaceChildren(
    ...(job === undefined ? [make("p", {}, "There is no such job, or not any more.")] : parts(job)),
  );
}

function parts(job: JobDetails): readonly PageElement[] {
  const { recipe, events } = job;
  const label = stateLabel();
  label.show(job.state, job.code === undefined ? job.state : `${job.state}: ${oneLine(job.code, 40)}`);
  const isBad = job.state === "failed";
  const why = job.reason ?? job.neglect;
  const because = make("p", { class: isBad ? "because bad" : "because", dir: "auto" }, visible(why ?? "", 10_000));
  const advice = make("p", { class: "because" }, make("b", {}, "What to do: "), job.advice);
  const trouble = events.filter(({ level }) => level !== "info");
  return [
    make("p", {}, label.element),
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
    list(events.slice(0, 100)),
  ];
}

function facts(job: JobDetails): PageElement {
  const { units } = job;
  const plan = units?.plan;
  const all: (readonly [string, string | undefined])[] = [
    ["Output", job.output],
    ["Handed in", `${job.submittedAt} by ${job.submittedBy}`],
    ["Ended", job.endedAt],
    [
      "Led by",
      job.leader === undefined
        ? undefined
        : `${job.leader}, start ${job.starts}${units === undefined ? "" : `, since ${units.since}`}`,
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
        `${count(units.units, "unit")}, ${units.phase}${units.kept.pieces > 0 ? `; ${count(units.kept.pieces, "piece")} done before` : ""}`,
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

function list(events: JobDetails["events"]): PageElement {
  const items = events.map(({ at, level, message, node }) => {
    const label = stateLabel();
    label.show(level);
    const when = make("div", {}, make("time", { datetime: at }, clockTime(at)), make("div", {}, label.element));
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

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
