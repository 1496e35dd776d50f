import { numberedParts } from "./stacks.js";
import type { TensorPlace } from "./structure.js";

/** What comes before the part of an encoder–decoder's name that all of its embeddings have in common. */
const sharedEmbedding = /^(.*?)(?:shared|(?:encoder|decoder)\.embed_tokens)\.weight$/;

/**
 * The group of names that one token matrix may be stored under: embeddings and head, also a head that this model does
 * not store. None for a model without a token embedding.
 */
export function tiesOf(
  names: Iterable<string>,
  place: (name: string) => TensorPlace,
  { head, isEncoderDecoder }: { readonly head: string | undefined; readonly isEncoderDecoder: boolean },
): readonly (readonly string[])[] {
  const embeddings: string[] = [];
  const heads: string[] = [];
  for (const name of names) {
    if (!name.endsWith(".weight") || isNumbered(name)) continue;
    const { tokens } = place(name);
    if (tokens === "embedding") embeddings.push(name);
    if (tokens === "head") heads.push(name);
  }
  const [embedding] = embeddings;
  if (embedding === undefined) return [];
  const root = isEncoderDecoder ? sharedEmbedding.exec(embedding)?.[1] : undefined;
  if (root !== undefined) {
    for (const name of ["shared", "encoder.embed_tokens", "decoder.embed_tokens"])
      embeddings.push(`${root}${name}.weight`);
  }
  if (heads.length === 0 && head !== undefined) heads.push(`${prefixOfHead(embedding)}${head}`);
  const group = [...new Set([...embeddings, ...heads])];
  return group.length > 1 ? [group] : [];
}

/** A token matrix of a numbered part predicts further tokens and is not the model's own. */
function isNumbered(name: string): boolean {
  return numberedParts(name).length > 0;
}

/** A language model inside of another model keeps its head to itself, unless the outer model took it over. */
function prefixOfHead(embedding: string): string {
  return embedding.startsWith("language_model.model.") ? "language_model." : "";
}
