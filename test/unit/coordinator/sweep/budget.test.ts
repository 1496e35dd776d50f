import { expect, test } from "vitest";
import { extended, usedUp } from "../../../../coordinator/sweep/budget.js";

const spent = { trials: 10, examples: 400, minutes: 2.5 };

test.each([
  { budget: {}, says: undefined },
  { budget: { trials: 11, examples: 401, minutes: 2.6 }, says: undefined },
  { budget: { trials: 10 }, says: "its 10 trials are used up" },
  { budget: { trials: 11, examples: 399 }, says: "its 399 examples are used up" },
  { budget: { minutes: 2 }, says: "its 2 minutes are used up" },
])("of $budget, it says $says", ({ budget, says }) => {
  expect(usedUp(budget, spent)).toBe(says);
});

test.each([
  { budget: { trials: 12 }, more: { trials: 5 }, after: { trials: 17 } },
  { budget: { trials: 12 }, more: { examples: 100 }, after: { trials: 12, examples: 500 } },
  { budget: {}, more: { minutes: 10 }, after: { minutes: 13 } },
])("$budget and $more more are $after", ({ budget, more, after }) => {
  expect(extended(budget, spent, more)).toEqual(after);
});
