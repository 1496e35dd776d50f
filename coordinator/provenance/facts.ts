import { z } from "zod";

// What manifests and signatures say of files, as schemas: both are read from folders that may come from anywhere.

export const count = z.int().nonnegative();
export const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** Names are joined to the directory that is looked at, so they must not lead out of it. */
export const plainName = z
  .string()
  .max(255)
  .regex(/^(?!\.{1,2}$)[^/\\\p{Cc}]+$/u);

/** A file by its content. */
export const fileFacts = z.object({ name: plainName, bytes: count, sha256 });
export type FileFacts = z.infer<typeof fileFacts>;

/**
 * A file of weights, by what can be known of it without reading it all. `version`: what the server called its state; of a
 * Hub's weights that is their SHA-256.
 */
export const weightsFacts = z.object({
  name: z.string(),
  bytes: count,
  headerSha256: sha256,
  version: z.string().max(1_024).optional(),
});
export type WeightsFacts = z.infer<typeof weightsFacts>;

/** A source, by what decides the bytes of an output. Its folder is left out: it may lie elsewhere next time. */
export const sourceFacts = z.object({
  /** As the author named it. */
  name: z.string(),
  /** Of a model on a server: its URL with what was left open filled in. */
  origin: z.string().max(4_096).optional(),
  /** As its card or its server calls it. */
  license: z.string().max(1_024).optional(),
  files: z.array(weightsFacts),
  /** Small files that decide bytes: configurations, and tokenizers that the output's is made from. */
  small: z.array(fileFacts).optional(),
});
export type SourceFacts = z.infer<typeof sourceFacts>;

/** A document of the recipe that was merged by itself first, and what it was made from. */
export const stageFacts = z.object({ name: z.string(), planDigest: z.string(), models: z.array(sourceFacts) });
export type StageFacts = z.infer<typeof stageFacts>;
