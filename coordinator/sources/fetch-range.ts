import { crc32 } from "node:zlib";
import { AmalgamError } from "../../shared/errors.js";
import type { FolderEntry } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../shared/quote.js";
import type { AgentClient } from "../dispatch/agents.js";

/** A file as an agent lists it. */
export interface AgentFile extends Pick<FolderEntry, "bytes" | "modifiedMs"> {
  readonly path: string;
}

const timeoutMs = 120_000;

/** Bytes of an agent's file, checked. The caller has limited `length`. */
export async function fetchRange(
  client: Pick<AgentClient, "read">,
  file: AgentFile,
  offset: number,
  length: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const range = new Uint8Array(length);
  if (length === 0) return range;
  let done = 0;
  const { path, bytes, modifiedMs } = file;
  const request = { file: { path, bytes, modifiedMs }, offset: BigInt(offset), length: BigInt(length) };
  for await (const { data, crc32: sum } of client.read(request, { timeoutMs, ...(signal && { signal }) })) {
    // It still waits for its turn.
    if (data.length === 0) continue;
    if (crc32(data) !== sum || done + data.length > length) throw corrupt(path, offset + done);
    range.set(data, done);
    done += data.length;
  }
  if (done < length) throw corrupt(path, offset + done);
  return range;
}

function corrupt(path: string, at: number): AmalgamError {
  return new AmalgamError(
    "chunk_corrupt",
    `Cannot read ${quote(path)} from its agent: the bytes at ${at} are not those that were sent`,
    { details: { file: path } },
  );
}
