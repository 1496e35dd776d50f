import type { Cell } from "../../../shared/cluster/cells.js";
import type { UnitsRecord } from "../../../shared/cluster/units-record.js";
import { type Box, type CellLook, drawCell, drawKept } from "./cell-shapes.js";
import { make, sized } from "./dom.js";
import type { Drawing, PageElement } from "./dom-types.js";
import { theirs } from "./pieces.js";
import { textScale } from "./window.js";
import { count, duration, rate } from "./words.js";

/** CSS pixels of a sample, where text is as large as on most screens. */
const sampleSize = 14;
const maxNodes = 16;
const plain: Cell = {
  ...{ state: "done", hasFailed: false, attempts: 1 },
  ...{ agent: undefined, milliseconds: undefined, bytes: undefined },
};

export interface LegendFacts {
  readonly cells: readonly Cell[];
  readonly kept: number;
  readonly record: UnitsRecord;
  readonly look: CellLook;
  /** Milliseconds, of what is done. */
  readonly quickest: number;
  readonly slowest: number;
}

/** Another one whenever the legend has to be another. */
export function legendKey({ cells, kept, record, look, quickest, slowest }: LegendFacts): string {
  const { by, palette } = look;
  const shapes = new Set(cells.map(({ state, hasFailed }) => `${state} ${hasFailed}`));
  const times = by === "time" ? [duration(quickest / 1_000), duration(slowest / 1_000)] : [];
  const agents = by === "node" ? record.agents.slice(0, maxNodes + 1) : [];
  return JSON.stringify([
    by,
    palette.ink,
    textScale(),
    kept > 0,
    record.kept.pieces,
    [...shapes].sort(),
    times,
    agents,
  ]);
}

/** What the shapes and colours that are on the strip now mean. */
export function legendOf(facts: LegendFacts): readonly PageElement[] {
  const { cells, kept, record, look, quickest, slowest } = facts;
  const state = { ...look, by: "state" } as const;
  const box: Box = { x: 0, y: 0, size: Math.round(sampleSize * textScale()) };
  const swatch = (paint: (on: Drawing) => void): PageElement => sampleOf(box.size, paint);
  const sample = (cell: Partial<Cell>, as: CellLook = state): PageElement => {
    return swatch((on) => drawCell(on, { ...plain, ...cell }, box, as));
  };
  const has = (wanted: Cell["state"]): boolean => cells.some((cell) => cell.state === wanted);
  const entries: PageElement[] = [];
  const add = (picture: PageElement, ...words: (PageElement | string)[]): void => {
    entries.push(make("li", {}, picture, make("span", {}, ...words)));
  };
  if (kept > 0)
    add(
      swatch((on) => drawKept(on, box, look)),
      `done before: ${count(record.kept.pieces, "piece")}`,
    );
  if (has("waiting")) add(sample({ state: "waiting" }), "waits");
  if (has("running")) add(sample({ state: "running" }), "runs");
  if (has("twice")) add(sample({ state: "twice" }), "runs twice");
  if (has("partly")) add(sample({ state: "partly" }), "in part");
  if (look.by === "state") {
    if (has("done")) add(sample({}), "done");
  } else if (look.by === "time" && slowest > 0) {
    const steps = [0, 0.25, 0.5, 0.75, 1].map((share) => quickest * (slowest / quickest) ** share);
    const samples = steps.map((milliseconds) => sample({ milliseconds }, look));
    const [from, to] = [`${duration(quickest / 1_000)}, the quickest`, `${duration(slowest / 1_000)}, the slowest`];
    entries.push(make("li", {}, make("span", {}, from), ...samples, make("span", {}, to)));
  } else if (look.by === "node") {
    for (const [agent, { name, running, bytesPerSecond }] of record.agents.slice(0, maxNodes).entries()) {
      const now = running === 0 ? "" : ` ${running} at work, ${rate(bytesPerSecond)}`;
      add(sample({ agent }, look), theirs(name), make("b", {}, now));
    }
    const more = record.agents.length - maxNodes;
    if (more > 0) entries.push(make("li", {}, `and ${more} more`));
  }
  if (cells.some((cell) => cell.hasFailed && cell.state === "done"))
    add(sample({ hasFailed: true }, state), "done after a failure");
  if (cells.some((cell) => cell.hasFailed && cell.state !== "done")) {
    add(sample({ state: "waiting", hasFailed: true }), "failed, is tried again");
  }
  return entries;
}

function sampleOf(size: number, paint: (on: Drawing) => void): PageElement {
  const canvas = make("canvas", { "aria-hidden": "true" });
  canvas.style.setProperty("width", `${size}px`);
  const on = sized(canvas, size, size);
  if (on !== undefined) paint(on);
  return canvas;
}
