import type { EvaluationBatch } from "../../../../shared/gen/amalgam/v1/agent_pb.js";
import { graphInputs } from "../graph-inputs.js";
import type { Answer } from "./answer.js";
import { type LanguageModel, predictRows } from "./body-rows.js";

/** The log-probability of every target, and whether it is the most likely token. */
export async function likelihood(model: LanguageModel, batch: EvaluationBatch): Promise<Answer> {
  const { rows, targets } = batch;
  const feeds = graphInputs(model.body.session, batch.inputs);
  const { logprobs, best } = await predictRows(model, feeds, () => rows, targets);
  return { logprobs: [...logprobs], greedy: targets.map((target, i) => best[i] === target) };
}
