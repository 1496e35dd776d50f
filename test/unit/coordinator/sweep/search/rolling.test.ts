import { expect, test } from "vitest";
import { rolling } from "../../../../../coordinator/sweep/search/rolling.js";
import type { SearchKind } from "../../../../../coordinator/sweep/search/searching.js";
import { runSearch, unitCube } from "../../../../support/run-search.js";

test("trial n is proposed when trial n − width is in, and what is left is waited for", () => {
  const seen: { known: number[]; pending: number }[] = [];
  let outcomes = 0;
  const kind: SearchKind = {
    ...{ name: "made up", summary: "", options: {} },
    *search(context) {
      const all = yield* rolling(context, (known) => {
        seen.push({ known: known.outcomes.map(({ trial }) => trial), pending: known.pending.length });
        return seen.length <= 5 ? { point: { x0: seen.length / 10 } } : undefined;
      });
      outcomes = all.length;
      return undefined;
    },
  };
  runSearch(kind, { space: unitCube(1), judge: () => 0, width: 3 });
  expect(seen).toEqual([
    { known: [], pending: 0 },
    { known: [], pending: 1 },
    { known: [], pending: 2 },
    { known: [1], pending: 2 },
    { known: [1, 2], pending: 2 },
    { known: [1, 2, 3], pending: 2 },
  ]);
  expect(outcomes).toBe(5);
});
