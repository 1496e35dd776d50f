import { createHash } from "node:crypto";
import type { Program } from "../../../shared/expression/program.js";
import { statisticsNeeds } from "../../../shared/expression/statistics-needs.js";
import { elementsByProgram, type Statistics } from "../../dispatch/request.js";
import { statisticsOf } from "../../plan/plan.js";
import type { Plan, PlannedTensor } from "../../plan/types.js";

/** Tensors whose statistics are kept, over all trials; the one asked for longest ago is forgotten first. */
const maxTensors = 200_000;

/** The statistics of one plan's tensors, as far as earlier trials have found them. */
export interface PlanStatistics {
  /** By tensor: what is known now. */
  known(): Statistics;
  /** Takes what an agent has gathered for a tensor. */
  learn(tensor: number, statistics: readonly number[]): void;
  /** Tensors with statistics over the whole model, none of which an agent can gather alone; empty: they are known. */
  missingModelwide(): ReadonlySet<number>;
  /** Names what {@link missingModelwide} are found from. */
  readonly modelwideKey: string;
}

/**
 * Statistics outlive the trial that gathered them: a trial that changes only what comes after them, such as weights
 * behind a trim, is a single pass over its tensors.
 */
export class StatisticsCache {
  readonly #entries = new Map<string, readonly number[]>();
  readonly #maxTensors: number;

  constructor(limit = maxTensors) {
    this.#maxTensors = limit;
  }

  of(plan: Plan): PlanStatistics {
    const keys = statisticsKeys(plan);
    const modelwide = statisticsOf(plan).map((needs) => needs.modelwide);
    const members = [...keys.keys()].filter((tensor) => modelwide[plan.tensors[tensor]?.program ?? -1] === true);
    return {
      known: () => {
        const known = new Map<number, readonly number[]>();
        for (const [tensor, key] of keys) {
          const statistics = this.#find(key);
          if (statistics !== undefined) known.set(tensor, statistics);
        }
        return known;
      },
      learn: (tensor, statistics) => {
        const key = keys.get(tensor);
        if (key !== undefined) this.#keep(key, statistics);
      },
      missingModelwide: () => {
        const isKnown = members.every((tensor) => this.#entries.has(keys.get(tensor) ?? ""));
        return new Set(isKnown ? [] : members);
      },
      modelwideKey: digest(members.map((tensor) => keys.get(tensor))),
    };
  }

  #find(key: string): readonly number[] | undefined {
    const found = this.#entries.get(key);
    if (found !== undefined) this.#keep(key, found);
    return found;
  }

  #keep(key: string, statistics: readonly number[]): void {
    this.#entries.delete(key);
    this.#entries.set(key, statistics);
    const [oldest] = this.#entries.size > this.#maxTensors ? this.#entries.keys() : [];
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}

/** By tensor that has statistics: the name of all that decides them. */
function statisticsKeys(plan: Plan): ReadonlyMap<number, string> {
  const needs = statisticsOf(plan);
  const programs = plan.programs.map(programDigest);
  const modelElements = elementsByProgram(plan);
  const sources = plan.sources.map(({ path, bytes, modifiedMs }) => digest([path, bytes, modifiedMs]));
  const own = new Map<number, string>();
  const byProgram = new Map<number, string[]>();
  for (const [tensor, planned] of plan.tensors.entries()) {
    const { program } = planned;
    if ((needs[program]?.passes ?? 0) === 0) continue;
    const key = digest([programs[program], modelElements[program], describeTensor(plan, planned, sources)]);
    own.set(tensor, key);
    if (needs[program]?.modelwide === true) byProgram.set(program, [...(byProgram.get(program) ?? []), key]);
  }
  const groups = new Map([...byProgram].map(([program, keys]) => [program, digest(keys)]));
  return new Map(
    [...own].map(([tensor, key]) => {
      const group = groups.get(plan.tensors[tensor]?.program ?? -1);
      return [tensor, group === undefined ? key : `${group} ${key}`];
    }),
  );
}

/** What a tensor's statistics follow from: its inputs, and of its parameters and random numbers those that matter. */
function describeTensor(plan: Plan, tensor: PlannedTensor, sources: readonly string[]): unknown {
  const { shape, inputs, parameters, randomStreams, name, program } = tensor;
  const used = plan.programs[program];
  const needs = used === undefined ? undefined : statisticsNeeds(used);
  const values = parameters.map((value, slot) => (needs?.parameters.has(slot) === true ? String(value) : null));
  const random = needs?.isRandom === true ? [plan.seed, name, randomStreams ?? null] : null;
  const read = JSON.stringify(inputs, (key, value: unknown) => {
    if (key === "model") return undefined;
    return key === "source" ? sources[Number(value)] : value;
  });
  return [shape, read, values, random];
}

/** Programs are made anew with every plan, and mostly are the same. */
function programDigest({ nodes, output, inputs }: Program): string {
  return digest([nodes.map(({ op, args, value, scope }) => [op, args, String(value), scope ?? null]), output, inputs]);
}

function digest(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("base64");
}
