import { randomUUID } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { readSmallFile } from "../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";

/** A file on a server as it was when a job began. */
const file = z.object({
  name: z.string(),
  bytes: z.int().nonnegative(),
  /** What the server called its state; absent where it called it nothing. */
  version: z.string().optional(),
  modifiedMs: z.number(),
});

const pin = z.object({
  /** As the recipe asks for it. */
  url: z.string(),
  /** What it was then: a branch of the Hub became a commit. */
  found: z.string(),
  license: z.string().optional(),
  files: z.array(file),
});

const pins = z.object({ format: z.literal("amalgam-pins"), version: z.literal(1), models: z.array(pin) });

/** What was at the address of a model when a job began, which the job holds on to. */
export type Pin = z.infer<typeof pin>;

/** By the URL that the recipe asks for. */
export type Pins = ReadonlyMap<string, Pin>;

const pinsName = "pins.json";
/** A model has some hundred files, a recipe some hundred models. */
const maxPinsBytes = 64 << 20;

/** What an earlier run of the job found. Empty when it found nothing, or did not come so far as to write it down. */
export async function readPins(directory: string): Promise<Pins> {
  const path = join(directory, pinsName);
  let text: string;
  try {
    text = Buffer.from(await readSmallFile(path, { maxBytes: maxPinsBytes, followLinks: false })).toString();
  } catch (reason) {
    const { cause } = AmalgamError.from(reason);
    if ((cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT") return new Map();
    throw reason;
  }
  const parsed = pins.safeParse(parseJson(text));
  if (!parsed.success) {
    const remedy = "remove it, or begin anew with --overwrite";
    throw new AmalgamError("output_refused", `Cannot read ${quote(path)}: Amalgam did not write it so, ${remedy}`);
  }
  return new Map(parsed.data.models.map((model) => [model.url, model]));
}

/** By a rename, so that whoever goes on after a crash finds all of it or nothing. */
export async function writePins(directory: string, models: Iterable<Pin>): Promise<void> {
  await mkdir(directory, { recursive: true });
  const path = join(directory, pinsName);
  const unfinished = `${path}.${randomUUID()}`;
  try {
    const text = JSON.stringify({ format: "amalgam-pins", version: 1, models: [...models] }, null, 1);
    await writeFile(unfinished, `${text}\n`, { flush: true });
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
