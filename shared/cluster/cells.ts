// How the units of a job travel to a page: a few bytes a cell. Used by leaders and by browsers, so it needs nothing of either.

/** Cells of a job at most. Where there are more units, a cell stands for some consecutive ones. */
export const maxCells = 2_048;

/** `partly`: some of the cell's units are done, and none runs. `twice`: a straggler is tried a second time meanwhile. */
export const cellStates = ["waiting", "running", "twice", "done", "partly"] as const;
export type CellState = (typeof cellStates)[number];

export interface Cell {
  readonly state: CellState;
  /** An attempt failed. It was tried again, or will be. */
  readonly hasFailed: boolean;
  /** Of the unit that was tried most often; 15 stands for 15 and more. */
  readonly attempts: number;
  /** Into {@link UnitsRecord.agents}: who has it or had it last. Undefined: nobody, or one that the record has no room for. */
  readonly agent: number | undefined;
  /** Of the attempt that was taken, on average; to 5 %. Undefined where nothing is done. */
  readonly milliseconds: number | undefined;
  /** Read and written, in all; to 5 %. */
  readonly bytes: number | undefined;
}

/** Bytes for one cell. They lie in planes, all cells' first bytes first: it compresses better. */
const planes = 4;
export const noAgent = 255;
const stepsPerOctave = 8;
const kibi = 1024;

/** What a plane says of a number: 0 for none, else its logarithm. From 1 to 2³¹. */
function toStep(value: number | undefined): number {
  if (value === undefined) return 0;
  return Math.max(1, Math.min(255, 1 + Math.round(stepsPerOctave * Math.log2(Math.max(1, value)))));
}

function fromStep(step: number): number | undefined {
  return step === 0 ? undefined : 2 ** ((step - 1) / stepsPerOctave);
}

export function packCells(cells: readonly Cell[]): Uint8Array {
  const packed = new Uint8Array(planes * cells.length);
  for (const [i, { state, hasFailed, attempts, agent, milliseconds, bytes }] of cells.entries()) {
    packed[i] = cellStates.indexOf(state) | (hasFailed ? 8 : 0) | (Math.min(15, attempts) << 4);
    packed[i + cells.length] = agent === undefined || agent >= noAgent ? noAgent : agent;
    packed[i + 2 * cells.length] = toStep(milliseconds);
    packed[i + 3 * cells.length] = toStep(bytes === undefined ? undefined : bytes / kibi);
  }
  return packed;
}

/** The other way round. What another version wrote and this one does not know counts as waiting. */
export function unpackCells(packed: Uint8Array): readonly Cell[] {
  const count = Math.floor(packed.length / planes);
  return Array.from({ length: count }, (_, i): Cell => {
    const [first = 0, agent = noAgent, time = 0, size = 0] = [0, 1, 2, 3].map((plane) => packed[i + plane * count]);
    const kib = fromStep(size);
    return {
      state: cellStates[first & 7] ?? "waiting",
      hasFailed: (first & 8) !== 0,
      attempts: first >> 4,
      agent: agent === noAgent ? undefined : agent,
      milliseconds: fromStep(time),
      bytes: kib === undefined ? undefined : kib * kibi,
    };
  });
}
