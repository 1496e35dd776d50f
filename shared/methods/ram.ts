import { type Expression, sum, where } from "../expression/expression.js";
import { defineMethod } from "./method.js";
import { number } from "./parameter.js";

const reference = {
  title: "Yuan et al. 2026, Behavior knowledge merge in reinforced agentic models",
  url: "https://arxiv.org/abs/2601.13572",
};
const epsilon = number({ default: 1e-5, min: 0, help: "an element has changed if it differs by more than this" });

export const ram = defineMethod({
  name: "ram",
  title: "RAM (reinforced agent merging)",
  reference,
  summary: "For sparse task vectors: what one model changed is kept whole, what several changed is averaged.",
  base: "required",
  perModel: {},
  merge: { epsilon },
  output({ base, models, epsilon }) {
    const { changes, sharing } = changesOf(
      models.map(({ tensor }) => tensor.minus(base)),
      epsilon,
    );
    return base.plus(sum(changes).over(sharing.atLeast(1)));
  },
});

export const ramPlus = defineMethod({
  name: "ramplus_tl",
  title: "RAM+, tensor by tensor",
  reference,
  summary: "RAM, and what one model alone changed is strengthened the more of its other changes are shared.",
  base: "required",
  perModel: {},
  merge: {
    r: number({ default: 0.1, help: "how much a model's own changes are strengthened" }),
    alpha: number({ default: 0.2, min: 0, help: "bound on the ratio of shared to own changes" }),
    epsilon,
  },
  output({ base, models, r, alpha, epsilon }) {
    const { changes, sharing } = changesOf(
      models.map(({ tensor }) => tensor.minus(base)),
      epsilon,
    );
    const isShared = sharing.isAbove(1);
    const strengthened = changes.map((change) => {
      const hasChanged = where(change.equals(0), 0, 1);
      const shared = where(isShared, hasChanged, 0).sumOver("tensor");
      const own = where(isShared, 0, hasChanged).sumOver("tensor");
      const overlap = shared.over(own.atLeast(epsilon)).atLeast(0).atMost(alpha);
      return where(isShared, change.over(sharing), change.times(overlap.times(r).plus(1)));
    });
    return base.plus(sum(strengthened));
  },
});

/** The task vectors without what did not change, and how many models changed each element. */
function changesOf(deltas: readonly Expression[], epsilon: Expression) {
  const changed = deltas.map((delta) => {
    const isUnchanged = delta.abs().isAtMost(epsilon);
    return { change: where(isUnchanged, 0, delta), count: where(isUnchanged, 0, 1) };
  });
  return { changes: changed.map(({ change }) => change), sharing: sum(changed.map(({ count }) => count)) };
}
