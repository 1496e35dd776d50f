import { byId, make, setData, setText } from "./dom.js";
import type { PageElement } from "./dom-types.js";
import type { Page } from "./page.js";
import { oncePerFrame } from "./window.js";
import { count, rate } from "./words.js";

const dayMs = 86_400_000;

/** What one wants to know first. */
export function drawTiles(page: Page): void {
  const { jobs, nodes, units, sweeps } = page.store.contents;
  const tiles = new Map<
    string,
    { readonly value: PageElement; readonly note: PageElement; readonly tile: PageElement }
  >();
  const show = (name: string, value: string, note: string, alarm: "value" | "note" | "none" = "none"): void => {
    let tile = tiles.get(name);
    if (tile === undefined) {
      const [big, small] = [make("span", {}), make("small", {})];
      tile = {
        value: big,
        note: small,
        tile: make("div", { class: "tile" }, make("dt", {}, name), make("dd", {}, big, small)),
      };
      tiles.set(name, tile);
      byId("tiles").append(tile.tile);
    }
    setText(tile.value, value);
    setText(tile.note, note);
    setData(tile.tile, "alarm", alarm);
  };
  const redraw = oncePerFrame(() => {
    const all = [...jobs.values()];
    const of = (...states: string[]) => all.filter(({ state }) => states.includes(state));
    const running = of("running", "planning", "committing");
    const waiting = of("waiting");
    const recently = ({ endedAt }: { readonly endedAt?: string | undefined }): boolean =>
      page.now - Date.parse(endedAt ?? "") < dayMs;
    const failed = of("failed").filter(recently);
    const neglected = all.filter(({ neglect }) => neglect !== undefined && neglect !== "").length;
    const now = of("running").reduce((sum, { id }) => sum + (units.get(id)?.bytesPerSecond ?? 0), 0);
    const agents = [...nodes.values()].filter(({ role }) => role === "agent");
    const ready = agents.filter(({ state }) => state === "ready");
    const silent = [...nodes.values()].filter(({ state }) => state === "silent").length;
    const coordinators = [...nodes.values()].filter(({ role, state }) => role === "coordinator" && state === "ready");
    const slots = ready.reduce((sum, node) => sum + node.slots, 0);
    const inUse = ready.reduce((sum, node) => sum + Math.min(node.slots, node.running), 0);
    show("At work", String(running.length), count(of("queued").length, "job queued", "jobs queued"));
    show(
      "Waiting",
      String(waiting.length),
      neglected > 0 ? `${neglected} with nobody to lead` : waiting.length > 0 ? "for agents" : "",
      waiting.length + neglected > 0 ? "value" : "none",
    );
    show("Failed", String(failed.length), "in the last day", failed.length > 0 ? "value" : "none");
    show("Done", String(of("done").filter(recently).length), "in the last day");
    show("Throughput", rate(now), "read and written");
    show(
      "Agents",
      String(ready.length),
      silent > 0 ? `${count(silent, "node")} silent` : `${inUse} of ${count(slots, "slot")} in use`,
      silent > 0 ? "note" : "none",
    );
    show("Coordinators", String(coordinators.length), coordinators.length === 1 ? "nobody stands by" : "");
    const searching = [...sweeps.values()].filter(({ state }) => state === "unfinished").length;
    if (page.store.server?.hasSweeps === true) show("Sweeps", String(sweeps.size), `${searching} unfinished`);
  });
  page.store.on(["jobs", "nodes", "units", "sweeps", "server"], redraw);
  page.onTick(redraw);
  redraw();
}
