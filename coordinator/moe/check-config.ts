import { quote } from "../../shared/quote.js";
import type { Complaints } from "../recipe/complaints.js";
import { type MoeConfig, type MoeExpert, usesPrompts } from "./config.js";

export interface CheckOptions {
  /** Several experts of one model are on purpose: the output is to be trained. @default false */
  readonly allowIdenticalExperts?: boolean;
}

/** Complains of configs that cannot give a working router, before any model is opened. The rules are mergekit's. */
export function checkConfig(config: MoeConfig, options: CheckOptions, complaints: Complaints): void {
  const { experts, sharedExperts, expertsAt, expertsPerToken, gateMode } = config;
  if (experts.length < expertsPerToken) {
    const counts = `${expertsPerToken} experts per token need at least as many experts, found ${experts.length}`;
    complaints.add(expertsAt, `${counts}: add experts or lower "experts_per_token"`);
  }
  if (!usesPrompts(gateMode)) return;
  for (const { at, model, positivePrompts } of experts) {
    if (positivePrompts.length > 0) continue;
    const name = quote(model.value.text);
    complaints.add(at, `Expert ${name} has no positive_prompts, which gate mode ${quote(gateMode)} routes by`);
  }
  checkShared(sharedExperts, complaints);
  if (experts.length > 1 && experts.every((expert) => promptsOf(expert) === promptsOf(experts[0]))) {
    complaints.add(expertsAt, "All experts have the same prompts, so nothing tells the router which one to choose");
  }
  const [first] = experts;
  const isSame = experts.every(({ model }) => model.value.text === first?.model.value.text);
  if (experts.length > 1 && isSame && options.allowIdenticalExperts !== true) {
    complaints.add(
      expertsAt,
      "All experts are the same model, which gives its answers at a higher cost: " +
        "choose others, or say --allow-identical-experts when you mean to train the output",
    );
  }
}

function checkShared(shared: readonly MoeExpert[], complaints: Complaints): void {
  const without = shared.find(({ positivePrompts }) => positivePrompts.length === 0);
  if (without === undefined || shared.every(({ positivePrompts }) => positivePrompts.length === 0)) return;
  complaints.add(without.at, "Either all shared experts have positive_prompts or none has");
}

function promptsOf(expert: MoeExpert | undefined): string {
  return JSON.stringify([expert?.positivePrompts, expert?.negativePrompts]);
}
