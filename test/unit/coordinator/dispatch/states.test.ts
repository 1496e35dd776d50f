import { expect, test } from "vitest";
import { canAgentMove, moveUnit } from "../../../../coordinator/dispatch/states.js";

test("a lost agent stays lost, and a draining one does not come back", () => {
  for (const to of ["connecting", "ready", "draining"] as const) expect(canAgentMove("lost", to)).toBe(false);
  expect(canAgentMove("draining", "ready")).toBe(false);
  expect(canAgentMove("ready", "connecting")).toBe(true);
});

test("a unit that is done or failed does not move", () => {
  expect(moveUnit("running", "done")).toBe("done");
  for (const from of ["done", "failed"] as const) {
    expect(() => moveUnit(from, "running")).toThrow(`A unit cannot go from "${from}" to "running"`);
  }
  expect(() => moveUnit("waiting", "done")).toThrow(RangeError);
});
