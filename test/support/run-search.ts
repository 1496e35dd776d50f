import type { AnswerLoss, TaskAnswers } from "../../coordinator/sweep/losses/answer-loss.js";
import { Random } from "../../coordinator/sweep/search/random.js";
import type {
  OptionValues,
  Outcome,
  SearchContext,
  SearchKind,
  SearchResult,
  StepAnswer,
  TrialRequest,
} from "../../coordinator/sweep/search/searching.js";
import { type Space, toUnit } from "../../coordinator/sweep/space.js";

/** What a made-up problem says of a trial. A string is the reason of a failure. */
export type Judgement =
  | number
  | readonly number[]
  | string
  | {
      readonly losses: readonly number[];
      readonly violation?: number;
      readonly examples?: ReadonlyMap<string, Float64Array>;
      readonly answers?: ReadonlyMap<string, TaskAnswers>;
    };

export interface Problem {
  readonly space: Space;
  /** Of a request, and the point's place in the unit cube. */
  readonly judge: (request: TrialRequest, unit: readonly number[]) => Judgement;
  readonly objectives?: number;
  readonly rungs?: readonly number[];
  readonly width?: number;
  readonly seed?: number;
  readonly loss?: AnswerLoss;
  readonly experts?: ReadonlyMap<string, string>;
  readonly objectiveTasks?: readonly string[];
  /** The search is ended after so many trials. @default 10,000 */
  readonly trials?: number;
}

export interface Course {
  readonly outcomes: readonly Outcome[];
  readonly requests: readonly TrialRequest[];
  /** Undefined: the search was ended by the number of trials. */
  readonly result: SearchResult | undefined;
  readonly notes: readonly string[];
  /** Of the outcome with the smallest loss on all examples. */
  readonly best: Outcome;
}

/** Runs a search on a made-up problem, in this thread, the way a sweep runs it. */
export function runSearch(kind: SearchKind, problem: Problem, options: OptionValues = {}): Course {
  const { space, judge, objectives = 1, rungs = [100], width = 8, seed = 0, trials = 10_000 } = problem;
  const notes: string[] = [];
  const context: SearchContext = {
    ...{ space, objectives, rungs, width },
    experts: problem.experts ?? new Map(),
    random: (stream) => new Random(seed, stream),
    note: (message) => notes.push(message),
    ...(problem.loss === undefined ? {} : { loss: problem.loss }),
    ...(problem.objectiveTasks === undefined ? {} : { objectiveTasks: problem.objectiveTasks }),
  };
  const defaults = Object.fromEntries(Object.entries(kind.options).map(([name, spec]) => [name, spec.default]));
  const refusal = kind.refuses?.(context, { ...defaults, ...options });
  if (refusal !== undefined) throw new Error(refusal);
  const search = kind.search(context, { ...defaults, ...options });
  const outcomes: Outcome[] = [];
  const requests: TrialRequest[] = [];
  let step = search.next();
  while (step.done !== true) {
    const { value } = step;
    let answer: StepAnswer;
    if (value.kind === "start") {
      if (outcomes.length + value.requests.length > trials) {
        search.return(undefined);
        break;
      }
      answer = value.requests.map((request) => {
        requests.push(request);
        outcomes.push(outcomeOf(request, outcomes.length + 1, problem));
        return outcomes.length;
      });
    } else {
      answer = value.trials.map((trial) => outcomes[trial - 1] as Outcome);
    }
    step = search.next(answer);
  }
  const whole = outcomes.filter(({ rung, failure }) => rung === rungs.length - 1 && failure === undefined);
  const best = whole.toSorted((a, b) => a.violation - b.violation || a.loss - b.loss)[0] as Outcome;
  return { outcomes, requests, notes, best, result: step.done === true ? step.value : undefined };

  function outcomeOf(request: TrialRequest, trial: number, { space: dimensions }: Problem): Outcome {
    const judged = judge(request, toUnit(dimensions, request.point));
    const { point, rung = rungs.length - 1 } = request;
    const known = { trial, point, rung };
    if (typeof judged === "string") {
      const losses = new Array<number>(objectives).fill(Number.NaN);
      return { ...known, failure: judged, losses, loss: Number.NaN, violation: 0, examples: new Map() };
    }
    const {
      losses,
      violation = 0,
      examples = new Map(),
      answers,
    } = typeof judged === "number" ? { losses: [judged] } : "losses" in judged ? judged : { losses: judged };
    const loss = losses.reduce((sum, one) => sum + one, 0);
    return { ...known, losses, loss, violation, examples, ...(answers === undefined ? {} : { answers }) };
  }
}

/** `dimensions` numbers from 0 to 1. */
export function unitCube(dimensions: number): Space {
  return Array.from({ length: dimensions }, (_, i) => {
    return { kind: "range", name: `x${i}`, low: 0, high: 1, scale: "linear" };
  });
}
