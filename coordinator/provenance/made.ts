import { z } from "zod";
import { computableDtypes } from "../../shared/checkpoint/dtypes.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { defaultShardBytes } from "../plan/layout.js";

/** Rank and names as the command line takes them; a manifest may come from anywhere. */
const rank = z.int().min(1).max(65_536);
const name = z.string().min(1).max(4_096);
const shardBytes = z.int().positive();
const expressions = z.array(z.string().max(1_024)).max(1_024);
const dtype = z.enum(computableDtypes);

const madeSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("merge"), shardBytes }),
  z.object({ kind: z.literal("moe"), shardBytes, allowIdenticalExperts: z.boolean() }),
  z.object({
    kind: z.literal("extract-lora"),
    /** As the author named them. */
    model: name,
    base: name,
    maxRank: rank,
    epsilon: z.number().nonnegative(),
    distributeScale: z.boolean(),
    embedLora: z.boolean(),
    saveModules: z.array(z.string().max(1_024)).max(100_000),
    /** Regular expressions. */
    include: expressions,
    exclude: expressions,
    skipUndecomposable: z.boolean(),
    dtype: dtype.optional(),
  }),
  z.object({
    kind: z.literal("merge-adapters"),
    adapters: z
      .array(z.object({ name, weight: z.number() }))
      .min(1)
      .max(10_000),
    combination: z.enum(["svd", "concatenate", "linear"]),
    rank: rank.optional(),
    dtype,
  }),
]);

/**
 * What a command line adds to the recipe that decides bytes: the kind of output, the size of its files, and the arguments
 * of commands that have no recipe. Agents, slots, memory, units and the way bytes travel decide none, and are not in it.
 */
export type Made = z.infer<typeof madeSchema>;
export type MadeOf<Kind extends Made["kind"]> = Extract<Made, { readonly kind: Kind }>;

/**
 * What a manifest says of it. An earlier Amalgam wrote nothing and made outputs of files up to 5 GB unless it was told
 * otherwise; a later one may make what we cannot, which is a `usage` error.
 */
export function readMade(written: unknown, method: string): Made {
  if (written === undefined) {
    const shardBytes = defaultShardBytes;
    return method === "moe" ? { kind: "moe", shardBytes, allowIdenticalExperts: true } : { kind: "merge", shardBytes };
  }
  const parsed = madeSchema.safeParse(written);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = ["made", ...(issue?.path ?? [])].join(".");
  throw new AmalgamError(
    "usage",
    `Cannot tell how the output was made: ${quote(where)} is not as this Amalgam writes it (${issue?.message ?? "unknown"})`,
  );
}
