import { startPoint } from "../../../space.js";
import { usableOf } from "../../failures.js";
import { numberOption, optionalNumber } from "../../options.js";
import { compareOutcomes } from "../../order.js";
import { evaluate, type Outcome, type SearchContext, type Searching, type SearchKind } from "../../searching.js";
import { averageOf, type Block, blocksOf, insideOf, refusesHull, towards, type Vertex } from "./hull.js";

/** Shares of the way to the chosen vertex that are tried, at full step. */
const lineShares = [0.05, 0.1, 0.2, 0.4] as const;
const largestShare = Math.max(...lineShares);
const stepFactor = 4;

/** An iteration, for the report. */
interface Iteration {
  readonly loss: number;
  /** How much the loss would fall, were it linear, on the way to the best vertex: at the optimum of a convex loss, 0. */
  readonly gap: number;
  readonly towards: readonly string[];
  readonly share: number;
}

export const frankWolfe: SearchKind = {
  name: "frank-wolfe",
  summary:
    "Moves towards the model that helps most, by differences instead of gradients (FW-Merging, Chen et al. 2025)",
  options: {
    /** What moves by itself: the weights of all layers, or those of each group of layers. */
    granularity: { kind: "choice", default: "task", values: ["task", "group"] },
    /** The average of the models, or the point that the sweep starts from, which is then a vertex too. */
    from: { kind: "choice", default: "average", values: ["average", "start"] },
    /** The weight of a model that is alone. Default: the start of its range. */
    scale: { kind: "number", low: -100, high: 100 },
    iterations: { kind: "integer", default: 10, low: 1, high: 100_000 },
    /** The gap at which it ends, in the unit of the loss. */
    tolerance: { kind: "number", default: 1e-3, low: 0, high: 1e6 },
    /** The share of the way to a vertex over which differences are taken. Larger for accuracies, which go in steps. */
    epsilon: { kind: "number", default: 0.05, low: 1e-6, high: 0.5 },
    /** Where nothing improves any more it goes on with a quarter of all steps, down to this epsilon. */
    finest: { kind: "number", default: 0.0125, low: 1e-6, high: 0.5 },
  },
  refuses: ({ space }, options) => refusesHull(space, optionalNumber(options, "scale")),
  *search(context, options) {
    const { space } = context;
    const byGroup = options["granularity"] === "group";
    let blocks: readonly Block[] = blocksOf(space, { byGroup, scale: optionalNumber(options, "scale") });
    let weights = averageOf(blocks);
    if (options["from"] === "start") {
      weights = Object.fromEntries(Object.entries(startPoint(space)).map(([name, value]) => [name, Number(value)]));
      blocks = blocks.map((block) => withVertex(block, weights));
    }
    const epsilon = numberOption(options, "epsilon");
    const tolerance = numberOption(options, "tolerance");
    const smallestStep = numberOption(options, "finest") / epsilon;
    const first = yield* evaluate([{ point: insideOf(space, weights), label: "start" }]);
    const [started] = usableOf(context, first, "ended the search");
    if (started === undefined) return undefined;

    const course: Iteration[] = [];
    let place: Place = { weights, outcome: started };
    let step = 1;
    for (let iteration = 1; iteration <= numberOption(options, "iterations"); iteration += 1) {
      const { chosen, gap } = yield* steepest(context, blocks, place, step * epsilon);
      const moved = gap < tolerance ? undefined : yield* lineSearch(context, place, chosen, step);
      place = moved ?? place;
      const share = moved?.share ?? 0;
      course.push({ loss: place.outcome.loss, gap, towards: chosen.map(({ name }) => name), share });
      if (share === step * largestShare) step = Math.min(1, step * stepFactor);
      if (share > 0) continue;
      if (step / stepFactor < smallestStep) break;
      step /= stepFactor;
    }
    return { best: place.outcome.point, facts: { course } };
  },
};

/** Where the search stands. */
interface Place {
  readonly weights: Readonly<Record<string, number>>;
  readonly outcome: Outcome;
}

/** The best of some shares of the way to the chosen vertices; undefined: none is better than to stay. */
function* lineSearch(
  context: SearchContext,
  { weights, outcome }: Place,
  chosen: readonly Vertex[],
  step: number,
): Searching<(Place & { readonly share: number }) | undefined> {
  const shares = lineShares.map((share) => step * share);
  const places = shares.map((share) => towards(weights, chosen, share));
  const line = yield* evaluate(
    places.map((place) => ({ point: insideOf(context.space, place), label: "line search" })),
  );
  const [best] = usableOf(context, line, "were left out of the line search").toSorted(compareOutcomes);
  if (best === undefined || compareOutcomes(best, outcome) >= 0) return undefined;
  const found = line.indexOf(best);
  return { weights: places[found] ?? weights, outcome: best, share: shares[found] ?? 0 };
}

/**
 * The linear minimisation oracle by evaluations: the slope towards a vertex v is [L(θ + ε(v − θ)) − L(θ)] / ε, and of each
 * block the vertex with the steepest descent is taken. The gap is the sum of their descents (Jaggi 2013, equation 2).
 */
function* steepest(
  context: SearchContext,
  blocks: readonly Block[],
  { weights, outcome: at }: Place,
  share: number,
): Searching<{ readonly chosen: readonly Vertex[]; readonly gap: number }> {
  const directions = blocks.flatMap((block) => block.vertices.map((vertex) => ({ block, vertex })));
  const outcomes = yield* evaluate(
    directions.map(({ vertex }) => ({
      point: insideOf(context.space, towards(weights, [vertex], share)),
      label: `towards ${vertex.name}`,
    })),
  );
  const usable = new Set(usableOf(context, outcomes, "were no directions to go"));
  const chosen: Vertex[] = [];
  let gap = 0;
  for (const block of blocks) {
    const descents = directions.flatMap(({ block: its, vertex }, i) => {
      const outcome = outcomes[i];
      if (its !== block || outcome === undefined || !usable.has(outcome)) return [];
      // A way that leads out of the constraints is none, or the search would stop where it first meets them.
      if (outcome.violation > at.violation) return [];
      return [{ vertex, descent: (badness(at, at) - badness(outcome, at)) / share }];
    });
    const [best] = descents.toSorted((a, b) => b.descent - a.descent);
    if (best === undefined || best.descent <= 0) continue;
    chosen.push(best.vertex);
    gap += best.descent;
  }
  return { chosen, gap };
}

/** What is to fall: while constraints are violated, their violation. */
function badness(outcome: Outcome, at: Outcome): number {
  return at.violation > 0 ? outcome.violation : outcome.loss;
}

function withVertex(block: Block, weights: Readonly<Record<string, number>>): Block {
  const names = Object.keys(block.vertices[0]?.values ?? {});
  const values = Object.fromEntries(names.map((name) => [name, weights[name] ?? 0]));
  return { ...block, vertices: [...block.vertices, { name: "start", values }] };
}
