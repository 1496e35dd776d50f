import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { SweepStore } from "./store/store.js";
import type { SweepSpec, TrialRunner } from "./types.js";

/** Trials on record must be what they would be now: scores of other models or data do not mix. */
export async function assertSameInputs(spec: SweepSpec, store: SweepStore, runner: TrialRunner): Promise<void> {
  const known = store.latest.find(({ weights }) => weights !== undefined);
  if (known === undefined) return;
  const { point, reference, weights, segments } = known;
  const text = reference === undefined ? spec.template.render(point) : spec.template.renderReference(reference);
  const now = await runner.plan(text);
  const keys = new Set(now.segments.map(({ key }) => key));
  if (now.weights === weights && segments.every(({ key }) => keys.has(key))) return;
  const what = now.weights === weights ? "its data, graphs or threads" : "its models";
  const remedy = 'undo that, choose another folder with "--out", or begin anew with "--overwrite"';
  const problem = `${what} are not what they were; ${remedy}`;
  throw new AmalgamError("output_refused", `Cannot go on with the sweep in ${quote(store.folder)}: ${problem}`);
}
