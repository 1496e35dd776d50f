import { stat } from "node:fs/promises";
import { type Checkpoint, openCheckpoint } from "../../../shared/checkpoint/open.js";
import { fileError } from "../../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../../shared/errors.js";
import type { EvaluatedModel, SourceFile } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../../shared/quote.js";
import { resolveBelow } from "../../files/resolve.js";

export interface KnownCheckpoint {
  readonly checkpoint: Checkpoint;
  /** Changes when a file of it does. */
  readonly identity: string;
  /** Fails with `checkpoint_changed`, naming the file, when one is not as it was planned any more. */
  readonly assertUnchanged: () => Promise<void>;
  /** Its files are memory, which others account for. @default false */
  readonly isInMemory?: boolean;
}

/**
 * Opens the checkpoint below the roots. Fails with `path_refused` for what is outside, and with `checkpoint_changed`,
 * naming the file, when one is not as it was planned.
 */
export async function openPlanned(
  { checkpoint: path, sources }: EvaluatedModel,
  roots: readonly string[],
  signal: AbortSignal,
): Promise<KnownCheckpoint> {
  await resolveBelow(path, roots, "evaluate");
  const planned = new Map<string, SourceFile>();
  for (const source of sources) {
    planned.set(await resolveBelow(source.path, roots, "evaluate"), source);
  }
  const assertAll = async (): Promise<void> => {
    await Promise.all([...planned].map(([file, source]) => assertUnchanged(file, source)));
  };
  await assertAll();
  const checkpoint = await openCheckpoint(path, { allowedRoots: roots, signal });
  const stray = checkpoint.files.find((file) => !planned.has(file.path));
  if (stray !== undefined) {
    const message = `Cannot evaluate ${quote(path)}: it has a file ${quote(stray.path)} that it did not have when the evaluation was planned; plan again`;
    throw new AmalgamError("checkpoint_changed", message, { details: { file: stray.path } });
  }
  const identity = checkpoint.files.map((file) => {
    const source = planned.get(file.path);
    return [file.path, String(source?.bytes), source?.modifiedMs];
  });
  return { checkpoint, identity: JSON.stringify(identity), assertUnchanged: assertAll };
}

async function assertUnchanged(file: string, { path, bytes, modifiedMs }: SourceFile): Promise<void> {
  const { size, mtimeMs } = await stat(file).catch((error: unknown) => {
    throw fileError(error, path);
  });
  if (BigInt(size) === bytes && mtimeMs === modifiedMs) return;
  const difference = BigInt(size) === bytes ? "at another time" : `${bytes} bytes then, ${size} now`;
  const message = `Cannot evaluate ${quote(path)}: it changed after planning (${difference}); plan again`;
  throw new AmalgamError("checkpoint_changed", message, { details: { file: path } });
}
