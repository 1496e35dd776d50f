import { type Point, type Space, toUnit } from "../../../space.js";
import { frontOf } from "../../pareto.js";
import { nsgaII } from "../../sampling/nsga-ii.js";
import {
  breathe,
  type Outcome,
  type SearchContext,
  type Searching,
  type StepAnswer,
  type TrialRequest,
} from "../../searching.js";

/** A place in the unit cube, and what surrogates say of it. */
export interface Predicted {
  readonly unit: readonly number[];
  readonly losses: readonly number[];
  readonly violation: number;
}

const population = 100;
/** Li et al. take 25 in their example of two models, and 150. */
const generationsFor = (dimensions: number): number => Math.min(150, 20 + 5 * dimensions);
/** Among whose individuals the front is looked for. */
const lastGenerations = 10;
/** Li et al. 2024 take these, and NSGA-III, which differs where there are more than three objectives. */
const variation = { population, crossover: 0.7, crossover_index: 20, mutation_index: 20 };

/** The front of surrogates by NSGA-II, which costs no trials: the search of that name asks, and the surrogates answer. */
export function* surrogateFront(
  space: Space,
  predict: (unit: readonly number[]) => Predicted,
  random: SearchContext["random"],
): Searching<readonly Predicted[]> {
  const outcomes: Outcome[] = [];
  const answer = ({ point }: TrialRequest): number => {
    outcomes.push(asOutcome(outcomes.length + 1, point, predict(toUnit(space, point))));
    return outcomes.length;
  };
  const search = nsgaII.search(
    {
      ...{ space, objectives: predict(space.map(() => 0)).losses.length, width: population, rungs: [1] },
      experts: new Map(),
      random: (stream) => random(`surrogates ${stream}`),
      note: () => undefined,
    },
    variation,
  );
  let step = search.next();
  while (step.done !== true && outcomes.length < population * generationsFor(space.length)) {
    const answers: StepAnswer =
      step.value.kind === "start"
        ? step.value.requests.map(answer)
        : step.value.trials.flatMap((trial) => outcomes[trial - 1] ?? []);
    yield* breathe();
    step = search.next(answers);
  }
  search.return(undefined);
  const last = outcomes.slice(-population * lastGenerations);
  const distinct = new Map(last.map((outcome) => [JSON.stringify(outcome.point), outcome]));
  return frontOf([...distinct.values()]).map(({ point, losses, violation }) => {
    return { unit: toUnit(space, point), losses, violation };
  });
}

function asOutcome(trial: number, point: Point, { losses, violation }: Predicted): Outcome {
  const loss = losses.reduce((sum, one) => sum + one, 0);
  return { ...{ trial, point, losses, loss, violation }, rung: 0, examples: new Map() };
}
