import { divisionOf } from "../../shared/expression/division.js";
import { binsOf } from "../../shared/expression/order-statistics.js";
import { type Gather, type Schedule, schedule, slotsOf } from "../../shared/expression/passes.js";
import type { Program } from "../../shared/expression/program.js";
import { countsOf, Scalars } from "../../shared/expression/scalars.js";
import { concatenate, type Partial, totalOf } from "../../shared/expression/statistics.js";
import type { StatisticsEntry } from "../assemble/journal-records.js";
import type { Plan, PlannedTensor, UnitPiece } from "../plan/types.js";
import type { PartialResult } from "./partials-check.js";
import type { Statistics } from "./request.js";

export interface GatheredProgramOptions {
  readonly plan: Plan;
  readonly program: number;
  readonly pass: number;
  /** In plan order. */
  readonly tensors: readonly number[];
  /** They are all of the program's, so statistics of model scope come out too. */
  readonly wholeModel: boolean;
  /** Of all passes before this one. */
  readonly statistics: Statistics;
  readonly modelElements: number;
}

/** What has arrived of one tensor. */
interface Tensor {
  readonly index: number;
  readonly planned: PlannedTensor;
  elements: number;
  /** By gather: a sum's blocks with the piece they are of; counts and maxima, merged. Empty once it is complete. */
  sums: Map<number, { readonly begin: number; readonly blocks: readonly number[] }[]>;
  merged: Map<number, Partial>;
  /** By gather of model scope: the tensor's total. */
  readonly totals: Map<number, number>;
  isComplete: boolean;
}

/** Merges what one statistics pass gathers over the tensors of one program. */
export class GatheredProgram {
  readonly #options: GatheredProgramOptions;
  readonly #program: Program;
  readonly #schedule: Schedule;
  readonly #gathers: readonly Gather[];
  readonly #tensors: ReadonlyMap<number, Tensor>;
  /** Counts and maxima of model scope, by gather. */
  readonly #model = new Map<number, Partial>();
  readonly #entries: StatisticsEntry[] = [];

  constructor(options: GatheredProgramOptions) {
    const { plan, program, pass, tensors } = options;
    this.#options = options;
    this.#program = at(plan.programs, program);
    this.#schedule = schedule(this.#program);
    this.#gathers = this.#schedule.statistics[pass]?.gathers ?? [];
    this.#tensors = new Map(
      tensors.map((index) => [
        index,
        {
          index,
          planned: at(plan.tensors, index),
          elements: 0,
          sums: new Map(),
          merged: new Map(),
          totals: new Map(),
          isComplete: false,
        },
      ]),
    );
  }

  wants(tensor: number): boolean {
    return this.#tensors.has(tensor);
  }

  /** Takes in what an accepted attempt has gathered over the pieces of its unit. */
  add(pieces: readonly UnitPiece[], partials: readonly PartialResult[]): void {
    for (const partial of partials) {
      const gather = at(this.#gathers, partial.gather);
      const piece = partial.piece === undefined ? undefined : at(pieces, partial.piece);
      if (partial.kind === "sum") {
        const tensor = this.#tensor(piece?.tensor ?? -1);
        const sums = tensor.sums.get(partial.gather) ?? [];
        sums.push({ begin: piece?.begin ?? 0, blocks: partial.blocks });
        tensor.sums.set(partial.gather, sums);
      } else if (gather.scope === "model") {
        merge(this.#model, partial);
      } else {
        merge(this.#tensor(piece?.tensor ?? -1).merged, partial);
      }
    }
    for (const { tensor: index, begin, end } of pieces) {
      const tensor = this.#tensor(index);
      tensor.elements += end - begin;
      if (tensor.elements === tensor.planned.elements) this.#complete(tensor);
    }
  }

  /** Every unit has been added. */
  finish(): readonly StatisticsEntry[] {
    for (const tensor of this.#tensors.values()) {
      if (tensor.isComplete) continue;
      const { name, elements } = tensor.planned;
      if (elements > 0)
        throw new RangeError(`Statistics of "${name}" cover ${tensor.elements} of ${elements} elements`);
      this.#complete(tensor);
    }
    const [first] = this.#tensors.values();
    if (first !== undefined && this.#options.wholeModel) {
      // The same for all of the model's tensors, so any of them gives the rank that a k-th magnitude asks for.
      this.#evaluate("model", first, (gather, place) => {
        if (gather.kind !== "sum") return this.#model.get(place) ?? empty(gather.kind);
        const totals = [...this.#tensors.values()].map((tensor) => tensor.totals.get(place) ?? 0);
        return { kind: "sum", blocks: Float64Array.from(totals) };
      });
    }
    return this.#entries;
  }

  #complete(tensor: Tensor): void {
    tensor.isComplete = true;
    const sumOf = (place: number): Partial => {
      const parts = (tensor.sums.get(place) ?? []).toSorted((a, b) => a.begin - b.begin);
      return concatenate(
        "sum",
        parts.map(({ blocks }) => ({ kind: "sum", blocks: Float64Array.from(blocks) })),
      );
    };
    this.#gathers.forEach((gather, place) => {
      if (gather.kind === "sum" && gather.scope === "model") tensor.totals.set(place, totalOf(sumOf(place)));
    });
    this.#evaluate("tensor", tensor, (gather, place) =>
      gather.kind === "sum" ? sumOf(place) : (tensor.merged.get(place) ?? empty(gather.kind)),
    );
    tensor.sums = new Map();
    tensor.merged = new Map();
  }

  /** Turns this pass's partials of one scope into statistics, the way an agent does it for a tensor of its own. */
  #evaluate(scope: Gather["scope"], tensor: Tensor, partialOf: (gather: Gather, place: number) => Partial): void {
    const { pass, program, statistics, modelElements } = this.#options;
    const places = [...this.#gathers.keys()].filter((place) => this.#gathers[place]?.scope === scope);
    if (places.length === 0) return;
    const gathers = places.map((place) => at(this.#gathers, place));
    const { shape, parameters } = tensor.planned;
    const scalars = new Scalars(
      this.#program,
      withGathers(this.#schedule, pass, gathers),
      { parameters, counts: countsOf(divisionOf(shape), modelElements) },
      statistics.get(tensor.index),
    );
    scalars.finishPass(
      pass,
      places.map((place) => partialOf(at(this.#gathers, place), place)),
    );
    for (const { kind, slot } of gathers) {
      const values = [...scalars.statistics.subarray(slot, slot + slotsOf(kind))];
      this.#entries.push({ program, slot, values, ...(scope === "tensor" ? { tensor: tensor.index } : {}) });
    }
  }

  #tensor(index: number): Tensor {
    const tensor = this.#tensors.get(index);
    if (tensor === undefined) throw new RangeError(`No statistics are wanted of tensor ${index}`);
    return tensor;
  }
}

/** The schedule with only some of one pass's gathers, so that a pass can be finished in two parts. */
function withGathers(plan: Schedule, pass: number, gathers: readonly Gather[]): Schedule {
  return { ...plan, statistics: plan.statistics.map((whole, i) => (i === pass ? { ...whole, gathers } : whole)) };
}

function merge(into: Map<number, Partial>, partial: PartialResult): void {
  const known = into.get(partial.gather) ?? empty(partial.kind);
  into.set(partial.gather, known);
  if (partial.kind === "largest" && known.kind === "largest") {
    into.set(partial.gather, { kind: "largest", value: Math.max(known.value, partial.value) });
  } else if ("bins" in partial && "counts" in known) {
    partial.bins.forEach((bin, i) => {
      known.counts[bin] = (known.counts[bin] ?? 0) + (partial.counts[i] ?? 0);
    });
  }
}

/** What a gather finds in nothing. */
function empty(kind: Gather["kind"]): Partial {
  if (kind === "sum") return { kind, blocks: new Float64Array() };
  if (kind === "largest") return { kind, value: -Infinity };
  return { kind, counts: new Float64Array(binsOf(kind)) };
}

/** Indices come from the plan and its units, so a miss is a bug. */
function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`Index ${index} is not in a list of ${list.length}`);
  return item;
}
