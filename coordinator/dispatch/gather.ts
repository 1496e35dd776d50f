import { type Schedule, schedule } from "../../shared/expression/passes.js";
import type { StatisticsEntry } from "../assemble/journal-records.js";
import type { Plan, Unit } from "../plan/types.js";
import type { UnitResult } from "./attempt.js";
import { GatheredProgram } from "./gathered-program.js";
import { elementsByProgram, type Statistics } from "./request.js";

export interface GatherOptions {
  readonly plan: Plan;
  /** The tensors whose statistics no agent can gather alone: see tensorsToGather(). */
  readonly tensors: ReadonlySet<number>;
  /** Units that cover those tensors whole. They are split further here, so that each unit runs one program. */
  readonly unitsOf: (pass: number) => readonly Unit[];
  /**
   * Runs the units with the task `{ kind: "gather", pass }`. In the order given, if it can: then only a few tensors'
   * counts are held at a time.
   */
  readonly run: (
    pass: number,
    units: readonly Unit[],
    statistics: Statistics,
  ) => AsyncIterable<Pick<UnitResult, "unit" | "partials">>;
  /** What earlier runs of the job have found, by pass. What is here is not gathered again. */
  readonly known?: ReadonlyMap<number, readonly StatisticsEntry[]>;
  /** Called after each pass with what it has found; the next pass starts when it is done. */
  readonly onPass?: (pass: number, entries: readonly StatisticsEntry[]) => Promise<void> | void;
}

/**
 * Runs the statistics passes that need more than one agent, one after the other, since each builds on those before.
 * Returns the finished statistics of every tensor in `tensors`, by slot of its program's schedule.
 *
 * The result does not depend on how the work was cut or who did it: counts and maxima merge in any order, sums are kept
 * by block until all are there and then added from first to last, a model's tensors in plan order.
 */
export async function gatherStatistics(options: GatherOptions): Promise<Map<number, number[]>> {
  const { plan, known, onPass } = options;
  const tensors = [...options.tensors].sort((a, b) => a - b);
  const schedules = plan.programs.map((program) => schedule(program));
  const modelElements = elementsByProgram(plan);
  const statistics = new Map<number, number[]>();
  const byProgram = new Map<number, number[]>();
  for (const tensor of tensors) {
    const program = plan.tensors[tensor]?.program ?? -1;
    statistics.set(tensor, new Array<number>(schedules[program]?.slots ?? 0).fill(Number.NaN));
    const members = byProgram.get(program);
    if (members === undefined) byProgram.set(program, [tensor]);
    else members.push(tensor);
  }
  const store = (entries: readonly StatisticsEntry[]): void => {
    for (const { program, tensor, slot, values } of entries) {
      for (const index of tensor === undefined ? (byProgram.get(program) ?? []) : [tensor]) {
        statistics.get(index)?.splice(slot, values.length, ...values);
      }
    }
  };

  const passes = Math.max(0, ...[...byProgram.keys()].map((program) => schedules[program]?.statistics.length ?? 0));
  for (let pass = 0; pass < passes; pass += 1) {
    const found = known?.get(pass) ?? [];
    store(found);
    const programs = new Map<number, GatheredProgram>();
    for (const [program, members] of byProgram) {
      const wanted = missing(schedules[program], pass, program, members, found);
      if (wanted.tensors.length === 0) continue;
      const elements = modelElements[program] ?? 0;
      programs.set(
        program,
        new GatheredProgram({ plan, program, pass, ...wanted, statistics, modelElements: elements }),
      );
    }
    if (programs.size === 0) continue;
    const units = splitByProgram(plan, options.unitsOf(pass), programs);
    for await (const result of options.run(pass, units, statistics)) {
      const [first] = result.unit.pieces;
      const program = plan.tensors[first?.tensor ?? -1]?.program ?? -1;
      programs.get(program)?.add(result.unit.pieces, result.partials);
    }
    const entries = [...programs.values()].flatMap((program) => program.finish());
    store(entries);
    await onPass?.(pass, entries);
  }
  return statistics;
}

/**
 * The tensors that a pass must look at: all of the program's, if it has a statistic of the whole model that is not
 * known; otherwise those that lack one of their own.
 */
function missing(
  plan: Schedule | undefined,
  pass: number,
  program: number,
  tensors: readonly number[],
  known: readonly StatisticsEntry[],
): { readonly tensors: readonly number[]; readonly wholeModel: boolean } {
  const gathers = plan?.statistics[pass]?.gathers ?? [];
  const isKnown = new Set(
    known.filter((entry) => entry.program === program).map((entry) => `${entry.tensor} ${entry.slot}`),
  );
  const lacks = (scope: "tensor" | "model", tensor: number | undefined): boolean =>
    gathers.some((gather) => gather.scope === scope && !isKnown.has(`${tensor} ${gather.slot}`));
  if (lacks("model", undefined)) return { tensors, wholeModel: true };
  return { tensors: tensors.filter((tensor) => lacks("tensor", tensor)), wholeModel: false };
}

/** The same pieces in units of one program each, in the order given; pieces that this pass does not need are left out. */
function splitByProgram(
  plan: Plan,
  units: readonly Unit[],
  programs: ReadonlyMap<number, { wants(tensor: number): boolean }>,
): readonly Unit[] {
  const split: Unit[] = [];
  for (const unit of units) {
    const groups = new Map<number, { pieces: Unit["pieces"][number][]; bytesRead: number }>();
    for (const piece of unit.pieces) {
      const tensor = plan.tensors[piece.tensor];
      if (tensor === undefined || !programs.get(tensor.program)?.wants(piece.tensor)) continue;
      const group = groups.get(tensor.program) ?? { pieces: [], bytesRead: 0 };
      groups.set(tensor.program, group);
      group.pieces.push(piece);
      const share = tensor.elements === 0 ? 0 : (piece.end - piece.begin) / tensor.elements;
      group.bytesRead += share * tensor.inputs.reduce((bytes, input) => bytes + input.bytes, 0);
    }
    for (const { pieces, bytesRead } of groups.values()) {
      split.push({ id: split.length, pieces, bytesRead, bytesWritten: 0 });
    }
  }
  return split;
}
