import { formatBytes } from "../../../shared/bytes.js";
import { AmalgamError } from "../../../shared/errors.js";
import { formatCount, quote } from "../../../shared/quote.js";
import { maxMessageBytes } from "../../../shared/rpc/channel.js";
import { buildGraphs } from "../../graphs/families.js";
import type { OpenModel } from "../../plan/open-models.js";
import type { Complaints } from "../../recipe/complaints.js";
import type { Position } from "../../recipe/recipe.js";
import { type MoeConfig, type MoeExpert, poolingOf } from "../config.js";
import { PromptEncoder } from "../prompts.js";

/** What the base is run on, and whose gates its hidden states make. */
export interface HiddenQuestions {
  /** `mean` over a prompt's tokens, or its `last`. */
  readonly pooling: "mean" | "last";
  /** Tokens of the prompts, each different list once, in the order in which the config has them first. */
  readonly sequences: readonly (readonly number[])[];
  readonly experts: readonly ExpertPrompts[];
  readonly sharedExperts: readonly ExpertPrompts[];
}

/** The prompts of one expert, into the sequences. One that is given twice counts twice. */
export interface ExpertPrompts {
  readonly at: Position;
  readonly positive: readonly number[];
  readonly negative: readonly number[];
}

/** What an agent sends at once: a message has room to spare. */
export const maxAnswerBytes = maxMessageBytes / 2;
/** Hidden states of all prompts are in memory at once, so much of them at most. */
const maxStateBytes = 4 * 2 ** 30;

/**
 * Cuts the prompts into tokens, and looks at whether the base can be run on them: its architecture, its positions, its
 * vocabulary. Complains of what it cannot. `states`: hidden states of one prompt, that is, layers · hidden size.
 */
export function askHidden(
  config: MoeConfig,
  base: OpenModel,
  { rows, states }: { readonly rows: number; readonly states: number },
  complaints: Complaints,
): HiddenQuestions | undefined {
  const pooling = poolingOf(config.gateMode);
  if (pooling === undefined) throw new RangeError(`Gate mode ${quote(config.gateMode)} has no hidden states`);
  if (base.adapter !== undefined) {
    const problem = `${quote(base.name)} has a LoRA on top, and is run as it is stored`;
    return complaints.add(
      config.base.at,
      `Gate mode ${quote(config.gateMode)} runs the base: ${problem}; merge the LoRA into it first`,
    );
  }
  const limits = limitsOf(config, base, complaints);
  if (limits === undefined) return undefined;
  const reader = new PromptReader(limits.encoder, { rows, maxTokens: limits.maxTokens }, complaints);
  const experts = config.experts.map((expert) => reader.read(expert));
  const sharedExperts = config.sharedExperts.map((expert) => reader.read(expert));
  const { sequences } = reader;
  const each = Float32Array.BYTES_PER_ELEMENT * states;
  if (each > maxAnswerBytes) {
    const size = `hidden states of one prompt take ${formatBytes(each)}`;
    complaints.add(config.base.at, `The ${size}, above the limit of ${formatBytes(maxAnswerBytes)}`);
  }
  const bytes = each * sequences.length;
  if (bytes > maxStateBytes) {
    const size = `hidden states of ${formatCount(sequences.length)} prompts take ${formatBytes(bytes)}`;
    complaints.add(
      config.expertsAt,
      `The ${size}, above the limit of ${formatBytes(maxStateBytes)}: give fewer prompts`,
    );
  }
  return { pooling, sequences, experts, sharedExperts };
}

/** What cuts prompts, and how long they may be; undefined, with a complaint, where the base cannot be run. */
function limitsOf(
  config: MoeConfig,
  { checkpoint, tokenizer, name }: OpenModel,
  complaints: Complaints,
): { readonly encoder: PromptEncoder; readonly maxTokens: number | undefined } | undefined {
  try {
    const { maxTokens } = buildGraphs({
      ...{ config: checkpoint.config, tensors: checkpoint.tensors, configFile: `${checkpoint.directory}/config.json` },
      ...{ output: "layers", pooling: { mode: "last", normalize: false } },
    });
    return { encoder: new PromptEncoder(tokenizer, name), maxTokens };
  } catch (error) {
    if (!(error instanceof AmalgamError)) throw error;
    return complaints.add(config.base.at, error.message);
  }
}

/** Gives each different list of tokens its number. */
class PromptReader {
  readonly sequences: (readonly number[])[] = [];
  readonly #encoder: PromptEncoder;
  readonly #limits: { readonly rows: number; readonly maxTokens: number | undefined };
  readonly #complaints: Complaints;
  readonly #known = new Map<string, number>();

  constructor(
    encoder: PromptEncoder,
    limits: { readonly rows: number; readonly maxTokens: number | undefined },
    complaints: Complaints,
  ) {
    this.#encoder = encoder;
    this.#limits = limits;
    this.#complaints = complaints;
  }

  read({ at, positivePrompts, negativePrompts }: MoeExpert): ExpertPrompts {
    const numbers = (prompts: readonly string[]): readonly number[] =>
      prompts.map((prompt) => this.#numberOf(this.#checked(prompt, at)));
    return { at, positive: numbers(positivePrompts), negative: numbers(negativePrompts) };
  }

  #checked(prompt: string, at: Position): readonly number[] {
    const { rows, maxTokens = Number.POSITIVE_INFINITY } = this.#limits;
    const tokens = this.#encoder.encode(prompt);
    const shown = quote(prompt.length > maxShown ? `${prompt.slice(0, maxShown)}…` : prompt);
    const beyond = tokens.find((token) => token >= rows);
    if (tokens.length === 0) this.#complaints.add(at, `Prompt ${shown} has no tokens, so there is nothing to run`);
    if (tokens.length > maxTokens) {
      const count = `has ${formatCount(tokens.length)} tokens`;
      this.#complaints.add(at, `Prompt ${shown} ${count}, and the base takes at most ${formatCount(maxTokens)}`);
    }
    if (beyond !== undefined) {
      const count = `its embedding has ${formatCount(rows)} rows`;
      this.#complaints.add(at, `A prompt has token ${beyond}, which the base has no weights for: ${count}`);
    }
    return tokens;
  }

  #numberOf(tokens: readonly number[]): number {
    const key = tokens.join(" ");
    const known = this.#known.get(key) ?? this.sequences.push(tokens) - 1;
    this.#known.set(key, known);
    return known;
  }
}

/** Characters of a prompt in a message. */
const maxShown = 60;
