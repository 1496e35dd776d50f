import { Template } from "@huggingface/jinja";
import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import type { TextTokenizer } from "./tokenizer.js";

export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** Published templates take a millisecond to parse, and every example needs one. */
const parsed = new WeakMap<TextTokenizer, Template>();

/**
 * Messages as the checkpoint's chat template writes them, with what starts the model's answer. Templates see what
 * transformers' `apply_chat_template(…, add_generation_prompt=True)` gives them. Special tokens are part of the text,
 * which is thus encoded without adding any.
 */
export function renderChat(tokenizer: TextTokenizer, messages: readonly Message[]): string {
  const { chatTemplate, directory, specialTokens } = tokenizer;
  if (chatTemplate === undefined) {
    throw new AmalgamError(
      "checkpoint_mismatch",
      `Cannot write a chat for ${quote(directory)}: it has no chat template; leave "chat" out of the task`,
      { details: { directory } },
    );
  }
  try {
    const template = parsed.get(tokenizer) ?? new Template(chatTemplate);
    parsed.set(tokenizer, template);
    return template.render({
      ...specialTokens,
      messages: messages.map((message) => ({ ...message })),
      tools: null,
      documents: null,
      add_generation_prompt: true,
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AmalgamError(
      "checkpoint_mismatch",
      `Cannot write a chat for ${quote(directory)}: its template says ${quote(reason)}`,
      {
        cause,
        details: { directory },
      },
    );
  }
}
