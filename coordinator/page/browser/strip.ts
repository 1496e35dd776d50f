import type { Cell } from "../../../shared/cluster/cells.js";
import type { UnitsRecord } from "../../../shared/cluster/units-record.js";
import { paletteNow } from "./cell-colours.js";
import { type Box, type CellLook, type Coloring, drawCell, drawKept } from "./cell-shapes.js";
import { announce, make, setData, sized } from "./dom.js";
import type { PageElement } from "./dom-types.js";
import { legendKey, legendOf } from "./legend.js";
import { describeCell, describeStrip, type Told } from "./strip-words.js";
import { hideTip, showTip } from "./tip.js";
import { readCells } from "./unpack.js";
import { oncePerFrame, onResize, textScale } from "./window.js";
import { bytes, count } from "./words.js";

/** Pixels of a cell, its gap included. */
const [smallest, largest] = [6, 24];
/** Cells that stand for what was done before, at most. */
const maxKept = 2_048;

/** The units of a job, a cell each. Arrow keys go from cell to cell. */
export class Strip {
  readonly element: PageElement;
  readonly legend = make("ul", { class: "legend" });
  readonly redraw = oncePerFrame(() => this.#draw());
  #record: UnitsRecord | undefined;
  #cells: readonly Cell[] = [];
  #kept = 0;
  #by: Coloring = "state";
  #columns = 1;
  #pitch = largest;
  /** The cell that the keys are at. */
  #cursor: number | undefined;
  #legendKey = "";

  constructor() {
    // Screen readers leave the arrow keys to what has this role.
    this.element = make("canvas", { class: "strip", tabindex: "0", role: "application" });
    onResize(this.element, this.redraw);
    const at = (x: number, y: number): number =>
      Math.floor(y / this.#pitch) * this.#columns + Math.floor(x / this.#pitch);
    for (const type of ["pointermove", "pointerdown"]) {
      this.element.addEventListener(type, ({ offsetX, offsetY, clientX, clientY }) => {
        const column = Math.floor(offsetX / this.#pitch);
        const told = column < this.#columns ? this.#describe(at(offsetX, offsetY)) : undefined;
        if (told === undefined) hideTip();
        else showTip(told, clientX, clientY);
      });
    }
    for (const type of ["pointerleave", "blur"]) {
      this.element.addEventListener(type, () => {
        hideTip();
        if (type !== "blur") return;
        this.#cursor = undefined;
        this.redraw();
      });
    }
    this.element.addEventListener("keydown", (event) => {
      const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.#columns, ArrowUp: -this.#columns };
      const step = steps[event.key as keyof typeof steps];
      if (step === undefined) return;
      event.preventDefault();
      this.#move(step);
    });
  }

  /** Units, or groups of them, that are tried twice at once. */
  get twice(): number {
    return this.#cells.filter(({ state }) => state === "twice").length;
  }

  /** Shows another state of affairs, as soon as it is read. */
  async show(record: UnitsRecord, by: Coloring): Promise<void> {
    if (record === this.#record && by === this.#by) return;
    if (record !== this.#record) {
      const cells = await readCells(record.cells);
      this.#record = record;
      this.#cells = cells;
      this.#kept = keptCells(record, cells.length);
    }
    this.#by = by;
    this.redraw();
  }

  #move(step: number): void {
    const count = this.#kept + this.#cells.length;
    const next = this.#cursor === undefined ? 0 : this.#cursor + step;
    if (next < 0 || next >= count) return;
    this.#cursor = next;
    this.redraw();
    const told = this.#describe(next);
    if (told === undefined) return;
    const { left, top } = this.element.getBoundingClientRect();
    showTip(told, left + (next % this.#columns) * this.#pitch, top + Math.floor(next / this.#columns) * this.#pitch);
    announce([told.title, ...told.lines].join("; "));
  }

  #describe(place: number): Told | undefined {
    const record = this.#record;
    if (record === undefined || place < 0) return undefined;
    if (place < this.#kept) {
      const { pieces, bytes: size } = record.kept;
      return {
        title: "Done before this leader came",
        lines: [`${count(pieces, "piece")}, ${bytes(size)}, from the journal`],
      };
    }
    const cell = this.#cells[place - this.#kept];
    return cell && describeCell(cell, place - this.#kept, record);
  }

  #draw(): void {
    const record = this.#record;
    const width = this.element.clientWidth;
    if (record === undefined || width === 0 || !this.element.isConnected) return;
    const total = this.#kept + this.#cells.length;
    this.#pitch = pitchFor(total, width);
    this.#columns = Math.max(1, Math.floor(width / this.#pitch));
    const rows = Math.max(1, Math.ceil(total / this.#columns));
    const on = sized(this.element, width, rows * this.#pitch);
    if (on === undefined) return;
    on.clearRect(0, 0, width, rows * this.#pitch);
    const { look, quickest, slowest } = lookAt(this.#cells, this.#by);
    const gap = this.#pitch > 9 ? 2 : 1;
    for (let place = 0; place < total; place += 1) {
      const box = this.#boxOf(place, gap);
      const cell = this.#cells[place - this.#kept];
      if (place < this.#kept) drawKept(on, box, look);
      else if (cell !== undefined) drawCell(on, cell, box, look);
      if (place !== this.#cursor) continue;
      on.strokeStyle = look.palette.ink;
      on.lineWidth = 2;
      on.strokeRect(box.x - 0.5, box.y - 0.5, box.size + 1, box.size + 1);
    }
    this.#label(describeStrip(this.#cells, record));
    const facts = { cells: this.#cells, kept: this.#kept, record, look, quickest, slowest };
    const key = legendKey(facts);
    if (key === this.#legendKey) return;
    this.#legendKey = key;
    this.legend.replaceChildren(...legendOf(facts));
  }

  #boxOf(place: number, gap: number): Box {
    const [x, y] = [place % this.#columns, Math.floor(place / this.#columns)];
    return { x: x * this.#pitch + gap / 2, y: y * this.#pitch + gap / 2, size: this.#pitch - gap };
  }

  #label(text: string): void {
    this.element.setAttribute("aria-label", `${text}. Arrow keys go from one to the next`);
    for (const state of ["waiting", "running", "twice", "done"] as const) {
      setData(this.element, state, String(this.#cells.filter((cell) => cell.state === state).length));
    }
    setData(this.element, "failed", String(this.#cells.filter(({ hasFailed }) => hasFailed).length));
  }
}

/** As many as the share of the output's bytes that was done before. */
function keptCells({ kept, plan }: UnitsRecord, cells: number): number {
  if (kept.bytes === 0 || plan === undefined) return 0;
  const share = Math.min(0.98, kept.bytes / Math.max(1, plan.bytes));
  return Math.min(maxKept, Math.max(1, Math.round((share / (1 - share)) * Math.max(1, cells))));
}

/** So large that the strip is a fifth as high as it is wide, or less. */
function pitchFor(total: number, width: number): number {
  const area = width * Math.max(170, width / 6);
  return Math.max(smallest, Math.min(largest * textScale(), Math.floor(Math.sqrt(area / Math.max(1, total)))));
}

function lookAt(cells: readonly Cell[], by: Coloring) {
  const times = cells.flatMap(({ milliseconds }) => milliseconds ?? []);
  const [quickest, slowest] = [
    times.reduce((a, b) => Math.min(a, b), Infinity),
    times.reduce((a, b) => Math.max(a, b), 0),
  ];
  const span = Math.log(slowest / quickest);
  const heatOf = (milliseconds: number): number => (span > 0 ? Math.log(milliseconds / quickest) / span : 0);
  const look: CellLook = { by, palette: paletteNow(), heatOf };
  return { look, quickest, slowest };
}
