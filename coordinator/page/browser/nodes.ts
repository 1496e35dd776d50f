import type { UnitsRecord } from "../../../shared/cluster/units-record.js";
import type { NodeView } from "../types.js";
import { askToDrain } from "./acting.js";
import { byId, make, setText } from "./dom.js";
import { filter, listNote } from "./filters.js";
import type { Page } from "./page.js";
import { bar, stateLabel, theirs } from "./pieces.js";
import { Rows } from "./rows.js";
import { oncePerFrame } from "./window.js";
import { bytes, count, matches, oneLine, rate, sinceThen } from "./words.js";

const maxRows = 100;
const choices = [
  ...[
    ["", "All"],
    ["agent", "Agents"],
    ["coordinator", "Coordinators"],
    ["ready", "Ready"],
  ],
  ...[
    ["draining", "Draining"],
    ["silent", "Silent"],
  ],
] as const;

interface NodeAtWork {
  readonly node: NodeView;
  readonly jobs: readonly string[];
  readonly bytesPerSecond: number;
}

/** Everybody in the cluster: those that are silent first. */
export function drawNodes(page: Page): void {
  const { nodes, jobs, units } = page.store.contents;
  const rows = new Rows<NodeAtWork>(byId("nodes-rows"), (work) => new NodeRow(page, work));
  const redraw = oncePerFrame(() => {
    const work = workByAgent(
      [...jobs.values()].filter(({ state }) => state === "running").map(({ id }) => [id, units.get(id)]),
    );
    const led = new Map<string, string[]>();
    for (const { id, leader, endedAt, state } of jobs.values()) {
      if (leader === undefined || endedAt !== undefined || state === "queued") continue;
      led.set(leader, [...(led.get(leader) ?? []), id]);
    }
    const [choice, find] = [chosen.choice(), chosen.find()];
    const isWanted = ({ role, state, name, host, version, address, devices }: NodeView): boolean =>
      (choice === "" || role === choice || state === choice) && matches(find, name, host, version, address, ...devices);
    const wanted = [...nodes.values()].filter(isWanted).sort(compare);
    const shown = wanted.slice(0, maxRows).map((node): NodeAtWork => {
      const { jobs: at = [], bytesPerSecond = 0 } = work.get(node.name) ?? {};
      return { node, jobs: node.role === "agent" ? at : (led.get(node.name) ?? []), bytesPerSecond };
    });
    rows.show(shown.map((one) => [one.node.name, one] as const));
    const leftOut = page.store.server?.nodesLeftOut ?? 0;
    const none = nodes.size === 0 ? "There are no nodes." : "";
    setText(byId("nodes-note"), none || listNote(shown.length, wanted.length, nodes.size, leftOut, "node"));
  });
  const chosen = filter(["nodes-state", "nodes-find"], choices, redraw);
  page.store.on(["nodes", "jobs", "units", "server"], redraw);
  page.onTick(redraw);
  redraw();
}

function workByAgent(jobs: readonly (readonly [string, UnitsRecord | undefined])[]) {
  const work = new Map<string, { jobs: string[]; bytesPerSecond: number }>();
  for (const [id, units] of jobs) {
    for (const { name, running, bytesPerSecond } of units?.agents ?? []) {
      if (running === 0) continue;
      const agent = work.get(name) ?? { jobs: [], bytesPerSecond: 0 };
      agent.jobs.push(id);
      agent.bytesPerSecond += bytesPerSecond;
      work.set(name, agent);
    }
  }
  return work;
}

const order: readonly NodeView["state"][] = ["silent", "draining", "unknown", "ready"];

function compare(a: NodeView, b: NodeView): number {
  const byState = order.indexOf(a.state) - order.indexOf(b.state);
  if (byState !== 0) return byState;
  if (a.role !== b.role) return a.role === "coordinator" ? -1 : 1;
  return a.name.localeCompare(b.name, "en", { numeric: true });
}

class NodeRow {
  readonly element;
  readonly #page: Page;
  readonly #state = stateLabel();
  readonly #since = make("small", { class: "nowrap" });
  readonly #use = make("span", { class: "nowrap" });
  readonly #bar = bar("mini bar", "meter");
  readonly #rate = make("span", { class: "nowrap" });
  readonly #jobs = make("small", { class: "clip", dir: "auto" });
  readonly #devices = make("small", { class: "clip", dir: "auto" });
  readonly #drain = make("button", { type: "button", class: "small" }, "Drain…");

  constructor(page: Page, { node: { name, role, host } }: NodeAtWork) {
    this.#page = page;
    this.#drain.setAttribute("aria-label", `Drain ${oneLine(name, 80)}`);
    this.#drain.addEventListener("click", () => askToDrain(name));
    const about = make("small", { class: "clip", dir: "auto" }, `${role} on ${oneLine(host, 80)}`);
    this.element = make(
      "tr",
      { "data-node": name },
      make("th", { scope: "row" }, theirs(name, { class: "clip", title: oneLine(name) }), about, this.#devices),
      make("td", {}, this.#state.element, this.#since, this.#drain),
      make("td", {}, this.#use, this.#bar.element),
      make("td", {}, this.#rate, this.#jobs),
    );
  }

  update({ node, jobs, bytesPerSecond }: NodeAtWork): void {
    const { state, role, slots, running, memoryBytes, devices, version, startedAt } = node;
    const isAgent = role === "agent";
    this.#state.show(state);
    const isGone = state === "silent";
    setText(this.#since, isGone ? "" : `up ${sinceThen(startedAt, this.#page.now)}`);
    setText(this.#use, isGone ? "–" : `${running} of ${count(slots, isAgent ? "slot" : "job")}`);
    this.#bar.element.hidden = isGone;
    this.#bar.show(slots === 0 ? 0 : running / slots, "Slots in use");
    const facts = [devices.join(", "), memoryBytes === 0 ? "" : bytes(memoryBytes), `version ${version}`];
    setText(
      this.#devices,
      facts
        .filter((fact) => fact !== "")
        .map((fact) => oneLine(fact, 120))
        .join(" · "),
    );
    const isIdle = isGone || jobs.length === 0;
    setText(this.#rate, isAgent ? (isIdle ? "–" : rate(bytesPerSecond)) : isIdle ? "stands by" : "leads");
    setText(this.#jobs, isIdle ? "" : jobs.map((job) => oneLine(job, 60)).join(", "));
    this.#drain.hidden = !this.#page.mayAct || !isAgent || state !== "ready";
  }
}
