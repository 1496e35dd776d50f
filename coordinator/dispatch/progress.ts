import { toSafeNumber } from "../../shared/bytes.js";
import { AmalgamError } from "../../shared/errors.js";
import type { Progress } from "../../shared/gen/amalgam/v1/agent_pb.js";

/** Work that an agent has done since it said so last. */
export interface WorkDone {
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly ioSeconds: number;
}

/** Fails with `chunk_corrupt` for numbers that nobody can have reached: nothing that an agent sends is believed. */
export function readProgress({ bytesRead, bytesWritten, ioSeconds }: Progress, agent: string): WorkDone {
  if (!(ioSeconds >= 0 && Number.isFinite(ioSeconds))) {
    throw new AmalgamError("chunk_corrupt", `Agent ${agent} says that reads and writes took it ${ioSeconds} seconds`, {
      details: { agent },
    });
  }
  return { bytesRead: readSize(bytesRead, agent), bytesWritten: readSize(bytesWritten, agent), ioSeconds };
}

/** A number of bytes that an agent tells. Fails with `chunk_corrupt` above 2^53 - 1. */
export function readSize(bytes: bigint, agent: string): number {
  if (bytes <= BigInt(Number.MAX_SAFE_INTEGER)) return toSafeNumber(bytes);
  throw new AmalgamError("chunk_corrupt", `Agent ${agent} tells of ${bytes} bytes, more than there can be`, {
    details: { agent },
  });
}
