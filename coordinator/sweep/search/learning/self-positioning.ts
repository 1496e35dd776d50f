import { quote, quoteList } from "../../../../shared/quote.js";
import { infoNce } from "../../losses/info-nce.js";
import type { Space } from "../../space.js";
import type { SearchContext, SearchKind } from "../searching.js";
import { answerGoal } from "./answer-goal.js";
import { type Box, boxOf, intoBox, notContinuous, pointAt } from "./box.js";
import type { AnswerDescent } from "./descent.js";
import { learn, optimizerOptions } from "./learn.js";
import { linearIn } from "./regulariser.js";
import { slerpChain } from "./slerp-chain.js";

/** Only their ratios count; a model at the lower end is all but left out. */
const weightRange = { low: 0.05, high: 1, start: 0.5 };

/** Of the merged task vector, beside one of the experts' own length. */
const normRange = { low: 0, high: 2, start: 1 };

/**
 * Where to stand among the experts, and how far from the base: task vectors are interpolated along spheres with a weight a
 * for each model, and the result is multiplied by a norm λ; a and λ minimise the loss of pairs of sentences plus mu · λ.
 * What lies on a sphere between task vectors is a sum of multiples of them, so each place is a recipe of task arithmetic
 * (`normalize: false`, `lambda: 1`) with those multiples for weights.
 */
export const selfPositioning: SearchKind = {
  name: "self-positioning",
  summary: "Self Positioning: spherical weights and a norm by contrastive loss (Li et al. 2024, arXiv 2410.15035)",
  options: { ...optimizerOptions, mu: { kind: "number", default: 0.01, low: 0, high: 100 } },
  answers: true,
  taskVectors: true,
  refuses: ({ space }) => notContinuous(space) ?? notOneEach(space),

  *search(context, options) {
    const { space, note } = context;
    const gram = gramOf(context);
    const ranges = boxOf(space);
    const goal = answerGoal(context, context.loss ?? infoNce);
    const box = boxOfPositions(space.length);
    const multiplesAt = (x: Float64Array): Float64Array => {
      const norm = x.at(-1) ?? 1;
      return slerpChain(gram, x).map((multiple) => norm * multiple);
    };
    const descent: AnswerDescent = {
      ...{ box, goal, note },
      names: [...space.map(({ model, name }) => `position of ${model ?? name}`), "norm"],
      request: (x, label) => ({ point: pointAt(space, intoBox(ranges, multiplesAt(x))), label }),
      loss: goal.value,
      regulariser: linearIn(space.length, Number(options["mu"])),
    };
    const start = box.low.map((_, i) => (i < space.length ? weightRange : normRange).start);
    const { x, loss: reached, course } = yield* learn(descent, start, options, context.random("spsa"));
    const multiples = multiplesAt(x);
    const best = pointAt(space, intoBox(ranges, multiples));
    const cut = space.filter(({ name }, i) => best[name] !== multiples[i]).map(({ name }) => name);
    if (cut.length > 0) note(`Weights lie at the ends of their ranges, wider ones may be better: ${quoteList(cut)}`);
    const facts = { loss: goal.loss.name, reached, positions: [...x.slice(0, -1)], norm: x.at(-1) ?? 1, course };
    return Number.isNaN(reached) ? { facts } : { best, facts };
  },
};

function boxOfPositions(models: number): Box {
  const ends = (end: "low" | "high"): Float64Array =>
    Float64Array.from({ length: models + 1 }, (_, i) => (i < models ? weightRange : normRange)[end]);
  return { low: ends("low"), high: ends("high") };
}

function notOneEach(space: Space): string | undefined {
  const models = space.map(({ model }) => model);
  const stray = space.find(({ model, group }) => model === undefined || group !== undefined);
  const need = "it needs the weight of each model to be a range, without groups, and nothing else to vary";
  if (stray !== undefined) return `${need}: ${quote(stray.name)} is not one`;
  const twice = models.find((model, i) => models.indexOf(model) !== i);
  return twice === undefined ? undefined : `${need}: ${quote(twice ?? "")} has several`;
}

/** In the order of the dimensions. */
function gramOf({ space, taskVectors, note }: SearchContext): readonly (readonly number[])[] {
  const places = space.map(({ model }) => taskVectors?.models.indexOf(model ?? "") ?? -1);
  if (places.includes(-1)) {
    note("Lengths and angles of task vectors are not known: they are taken for equally long and orthogonal");
    return places.map((_, i) => places.map((__, j) => (i === j ? 1 : 0)));
  }
  return places.map((i) => places.map((j) => taskVectors?.gram[i]?.[j] ?? 0));
}
