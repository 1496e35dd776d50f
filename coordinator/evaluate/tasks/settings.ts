import type { Pooling } from "../../graphs/types.js";
import type { DataSource } from "../data/source.js";
import type { Task } from "../types.js";
import type { Template } from "./template.js";

// What an author may say about a task, one interface per kind. Every default is filled in; undefined is left only where
// the checkpoint decides.

/** Which tokens of a text reach the model. */
export interface TokenSettings {
  /** Longer inputs are cut. Default: what the model's positions allow. */
  readonly maxTokens: number | undefined;
  /** The end that is cut off. @default "left" for prompts and choices, "right" for all else */
  readonly truncation: "left" | "right";
}

/** What one example shows the model. */
export type Input =
  | { readonly kind: "text"; readonly text: Template; readonly pair: Template | undefined }
  /** Columns by the names of the graph's inputs: tensors, or lists of numbers. */
  | { readonly kind: "tensors"; readonly columns: Readonly<Record<string, string>> }
  /** A file: its path, relative to the task file, or its bytes. See `renderImage()`. */
  | { readonly kind: "image"; readonly image: Template };

/** What the tasks with one table of data share. */
export interface DataSettings {
  readonly data: DataSource;
  /** An example's own id. Default: its number, from 0. */
  readonly id: Template | undefined;
}

export interface ClassificationSettings extends DataSettings, TokenSettings {
  readonly input: Input;
  /** The right class of an example: its number from 0, or its name. */
  readonly label: Template;
  /** Names of the classes, in the order of the model's outputs. Default: config.json's `id2label`. */
  readonly labels: readonly string[] | undefined;
  /** Texts that stand for a class in zero-shot classification, with `{{label}}` in each; empty for all other models. */
  readonly prompts: readonly Template[];
}

export interface MultipleChoiceSettings extends DataSettings, TokenSettings {
  readonly prompt: Template;
  /** One template that gives a list of texts, or one template for each choice. */
  readonly choices: Template | readonly Template[];
  /**
   * Gives a whole number: the right choice, from 0. Gives a text: the choice that reads so, else the number that it
   * writes, else the place of a single capital letter, from A.
   */
  readonly answer: Template;
  /** What stands between prompt and choice; lm-eval's `target_delimiter`. @default " " */
  readonly delimiter: string;
  /** Whether the prompt is a message, put into the checkpoint's chat template. @default false */
  readonly chat: boolean;
}

export interface PerplexitySettings extends DataSettings {
  readonly text: Template;
  /** Tokens that the model sees at once. Default: what the model's positions allow. */
  readonly window: number | undefined;
  /** Tokens that each window adds. Default: the window, so that every token is predicted from its own window. */
  readonly stride: number | undefined;
}

export interface GenerationSettings extends DataSettings, TokenSettings {
  readonly prompt: Template;
  /** Gives the right answer, or a list of right ones. */
  readonly answer: Template;
  /** @default 64 */
  readonly maxNewTokens: number;
  /** The answer ends before the first of these texts. @default [] */
  readonly until: readonly string[];
  /** The part of the text that counts: the pattern's first group, or all that it matches. Default: the whole text. */
  readonly extract: Extract | undefined;
  /** @default false */
  readonly ignoreCase: boolean;
  /** @default false */
  readonly ignorePunctuation: boolean;
  /** @default false */
  readonly chat: boolean;
}

export interface Extract {
  /** A regular expression of JavaScript, matched with the flags `gm`. */
  readonly pattern: string;
  /** @default "first" */
  readonly take: "first" | "last";
}

/** How texts become vectors. */
export interface EmbeddingSettings extends TokenSettings {
  /** Default: what the checkpoint's own files say (`1_Pooling/config.json`), else the mean. */
  readonly pooling: Pooling["mode"] | undefined;
  /** Whether vectors are brought to length 1. @default true */
  readonly normalize: boolean;
}

export interface SimilaritySettings extends DataSettings, EmbeddingSettings {
  readonly first: Template;
  readonly second: Template;
  /** How similar people found the two; any scale. */
  readonly score: Template;
}

/** Texts with ids: one side of a retrieval. */
export interface TextsWithIds {
  readonly data: DataSource;
  readonly id: Template;
  readonly text: Template;
  /** Put before each text. @default "" */
  readonly prefix: string;
}

export interface RetrievalSettings extends EmbeddingSettings {
  readonly corpus: TextsWithIds;
  readonly queries: TextsWithIds;
  readonly relevance: {
    readonly data: DataSource;
    readonly query: Template;
    readonly document: Template;
    /** How relevant, 0 for not at all. Default: 1 for every row. */
    readonly score: Template | undefined;
  };
  /** How many of the best documents count. @default 10 */
  readonly at: number;
}

export interface MultiLabelSettings extends DataSettings, TokenSettings {
  readonly input: Input;
  /** Default: config.json's `id2label`. */
  readonly labels: readonly string[] | undefined;
  /** A column per label that holds 0 or 1, in the order of the labels; or one that lists labels or their numbers. */
  readonly answers: Template | readonly Template[];
  /** A label is predicted when its probability, the sigmoid of its logit, is greater. @default 0.5 */
  readonly threshold: number;
}

export interface CustomSettings extends DataSettings, TokenSettings {
  readonly input: Input;
  /** Path of an ES module whose default export maps outputs to scores. */
  readonly module: string;
  /** What the model is asked for. @default "logits" */
  readonly output: "logits" | "vectors" | "hidden";
  /** Of `vectors`. */
  readonly pooling: Pooling["mode"] | undefined;
  /** @default true */
  readonly normalize: boolean;
}

/** The settings of each kind, by its name in task files. */
export interface SettingsOf {
  readonly classification: ClassificationSettings;
  readonly multiple_choice: MultipleChoiceSettings;
  readonly perplexity: PerplexitySettings;
  readonly generation: GenerationSettings;
  readonly similarity: SimilaritySettings;
  readonly retrieval: RetrievalSettings;
  readonly multi_label: MultiLabelSettings;
  readonly custom: CustomSettings;
}

/** A task of any kind; `kind` tells which settings it has. */
export type AnyTask = { [Kind in keyof SettingsOf]: Task<Kind, SettingsOf[Kind]> }[keyof SettingsOf];
