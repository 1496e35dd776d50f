import type { Cell } from "../../../shared/cluster/cells.js";
import { heat, inkOn, nodeColour, nodeColours, nodeLetter, type Palette } from "./cell-colours.js";
import type { Drawing } from "./dom-types.js";

/** By what cells that are done are coloured. The shapes are the same in all. */
export const colourings = ["state", "time", "node"] as const;
export type Coloring = (typeof colourings)[number];

/** Pixels of a cell whose letter can be read. */
const smallestLetter = 13;

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly size: number;
}

export interface CellLook {
  readonly by: Coloring;
  readonly palette: Palette;
  /** Where between the quickest and the slowest a time is, from 0 to 1. */
  readonly heatOf: (milliseconds: number) => number;
}

/** Work that was done before this leader came: striped. */
export function drawKept(on: Drawing, box: Box, { palette }: CellLook): void {
  fill(on, box, palette.pale);
  stroke(on, palette.done, box.size, () => {
    on.moveTo(box.x, box.y + box.size);
    on.lineTo(box.x + box.size, box.y);
  });
}

/**
 * Waiting: hollow. Running: a frame with a full middle. Twice: two bars. Done: full. Partly: its lower half. A cross, or a
 * corner that is cut where it is done by now: an attempt failed.
 */
export function drawCell(on: Drawing, cell: Cell, box: Box, look: CellLook): void {
  const { palette } = look;
  const { x, y, size } = box;
  const inner = Math.max(1, Math.round(size / 4));
  switch (cell.state) {
    case "done":
      fill(on, box, doneColour(cell, look));
      // The quickest are as light as a card, or the slowest as dark.
      if (look.by === "time") frame(on, box, palette.edge);
      if (look.by === "node" && cell.agent !== undefined) signNode(on, cell.agent, box);
      break;
    case "running":
      frame(on, box, palette.run);
      fill(on, { x: x + inner, y: y + inner, size: size - 2 * inner }, palette.run);
      break;
    case "twice": {
      frame(on, box, palette.twice);
      on.fillStyle = palette.twice;
      const width = Math.max(1, Math.floor(size / 4));
      on.fillRect(x + width * 0.8, y + inner, width, size - 2 * inner);
      on.fillRect(x + size - width * 1.8, y + inner, width, size - 2 * inner);
      break;
    }
    case "partly":
      frame(on, box, palette.soft);
      on.fillStyle = doneColour(cell, look);
      on.fillRect(x, y + size / 2, size, size / 2);
      break;
    default:
      frame(on, box, palette.edge);
  }
  if (cell.hasFailed) drawFailure(on, cell, box, palette);
}

function doneColour(cell: Cell, { by, palette, heatOf }: CellLook): string {
  if (by === "time" && cell.milliseconds !== undefined) return heat(heatOf(cell.milliseconds));
  if (by === "node" && cell.agent !== undefined) return nodeColour(cell.agent);
  return palette.done;
}

function drawFailure(on: Drawing, { state }: Cell, { x, y, size }: Box, { bad, card }: Palette): void {
  if (state !== "done") {
    stroke(on, bad, size, () => {
      on.moveTo(x + 1, y + 1);
      on.lineTo(x + size - 1, y + size - 1);
      on.moveTo(x + size - 1, y + 1);
      on.lineTo(x + 1, y + size - 1);
    });
    return;
  }
  const notch = Math.max(2, Math.round(size * 0.45));
  on.fillStyle = card;
  on.fillRect(x + size - notch, y, notch, notch);
  on.fillStyle = bad;
  on.fillRect(x + size - notch + 1, y, notch - 1, notch - 1);
}

/** A letter where there is room for one; otherwise a bar tells those apart that share a colour. */
function signNode(on: Drawing, agent: number, { x, y, size }: Box): void {
  on.fillStyle = inkOn(agent);
  if (size < smallestLetter) {
    if (agent >= nodeColours.length) on.fillRect(x, y + Math.floor(size / 2) - 1, size, size > 7 ? 2 : 1);
    return;
  }
  on.font = `600 ${Math.round(size * 0.62)}px system-ui, sans-serif`;
  on.textAlign = "center";
  on.textBaseline = "middle";
  on.fillText(nodeLetter(agent), x + size / 2, y + size / 2 + 0.5);
}

function fill(on: Drawing, { x, y, size }: Box, color: string): void {
  on.fillStyle = color;
  on.fillRect(x, y, size, size);
}

function frame(on: Drawing, { x, y, size }: Box, color: string): void {
  on.strokeStyle = color;
  on.lineWidth = 1;
  on.strokeRect(x + 0.5, y + 0.5, size - 1, size - 1);
}

function stroke(on: Drawing, color: string, size: number, path: () => void): void {
  on.strokeStyle = color;
  on.lineWidth = size > 10 ? 2 : 1.2;
  on.beginPath();
  path();
  on.stroke();
}
