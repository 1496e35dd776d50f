import { readFile } from "node:fs/promises";
import { z } from "zod";
import { hasErrno, writeError } from "./durable.js";

const holderSchema = z.object({
  /** Made up anew for every lock, so that no two are taken for one another. */
  token: z.string(),
  pid: z.int().positive(),
  started: z.string().optional(),
  machine: z.string(),
  host: z.string(),
  authority: z.object({ job: z.string(), epoch: z.int().nonnegative() }).optional(),
  /** Raised by a holder that lives. */
  beat: z.int(),
});

/** What a lock says about the process that holds it. */
export type Holder = z.infer<typeof holderSchema>;

/** Undefined for a file whose content is not a lock's: its maker died between creating and writing it, or writes now. */
export async function readHolder(path: string): Promise<Holder | undefined | "gone"> {
  try {
    const parsed = holderSchema.safeParse(JSON.parse(await readFile(path, "utf8")));
    return parsed.success ? parsed.data : undefined;
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return "gone";
    if (error instanceof SyntaxError) return undefined;
    throw writeError(error, "read lock", path);
  }
}
