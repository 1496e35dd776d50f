import type { Gain, TaskGain } from "./gain.js";
import type { Judgement } from "./objectives.js";
import type { Point } from "./space.js";
import type { Segment } from "./types.js";

/** A merge, judged on all examples that the search had, and on those that were held out. */
export interface Candidate {
  readonly point: Point;
  /** The trial that it was, if it was one. */
  readonly trial?: number;
  readonly searched: Judgement;
  readonly heldOut?: Judgement;
  /** What it was judged on. */
  readonly segments: readonly Segment[];
}

/** A model of the recipe by itself. */
export interface Reference {
  readonly model: string;
  readonly isBase: boolean;
  readonly judgement: Judgement;
  readonly segments: readonly Segment[];
}

/** What a sweep came to: result.json. */
export interface SweepResult {
  readonly amalgam: string;
  /** The sweep file and the sweep's folder. */
  readonly file: string;
  readonly folder: string;
  readonly search: string;
  readonly seed: number;
  /** Why it ended, for people. */
  readonly ended: string;
  readonly trials: { readonly total: number; readonly failed: number };
  /** Examples that models were run on for trials. */
  readonly examples: number;
  /** Of work, interruptions not counted. */
  readonly seconds: number;
  readonly best: Candidate;
  /** What a merge without a search would have been. */
  readonly start: Candidate | undefined;
  /** Of several objectives: merges that no other one is better than in all of them. Empty for one objective. */
  readonly front: readonly Candidate[];
  /** The base, and the experts of the tasks. */
  readonly references: readonly Reference[];
  /** What best, start and references are compared on. */
  readonly judgedOn: "held out" | "searched";
  /** The best against the start, by objective and by task. */
  readonly gains: readonly Gain[];
  readonly taskGains: readonly TaskGain[];
  /** What is to be known before the result is believed. */
  readonly warnings: readonly string[];
  /** What the search says besides. */
  readonly facts?: Readonly<Record<string, unknown>>;
}
