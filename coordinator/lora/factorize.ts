import { crc32 } from "node:zlib";
import { chunkBytes, toSafeNumber } from "../../shared/bytes.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { Agent } from "../dispatch/agents.js";

/** A matrix in a source file. */
export interface MatrixSource {
  readonly path: string;
  readonly fileBytes: number;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
  readonly offset: number;
  readonly dtype: string;
}

export interface FactorizeTask {
  /** Keys the random start: the same name and matrices give the same factors. */
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly matrix: MatrixSource;
  /** Taken off the matrix. */
  readonly base: MatrixSource;
  readonly rank: number;
  readonly epsilon: number;
}

/** U diag(σ) Vᵀ, truncated. Vectors one after the other; singular values in falling order. */
export interface Factorization {
  readonly values: Float64Array;
  readonly left: Float32Array;
  readonly right: Float32Array;
}

/**
 * Has an agent factorize the difference of two stored matrices, and checks all that it sends. Fails with the agent's
 * error, `chunk_corrupt`, or the signal's reason; the agent then stops.
 */
export async function factorize(
  { client, label }: Pick<Agent, "client" | "label">,
  task: FactorizeTask,
  signal: AbortSignal,
): Promise<Factorization> {
  const { name, matrix, base, rows, columns, rank, epsilon } = task;
  const corrupt = (problem: string): AmalgamError =>
    new AmalgamError("chunk_corrupt", `Agent ${label} sent wrong factors of ${quote(name)}: ${problem}`, {
      details: { agent: label, tensor: name },
    });
  const events = client.factorize(
    {
      ...{ tensor: name, rank, epsilon, chunkBytes, rows: BigInt(rows), columns: BigInt(columns) },
      sources: [matrix, base].map(({ path, fileBytes, modifiedMs }) => ({
        path,
        bytes: BigInt(fileBytes),
        modifiedMs,
      })),
      matrix: { file: 0, offset: BigInt(matrix.offset), dtype: matrix.dtype },
      base: { file: 1, offset: BigInt(base.offset), dtype: base.dtype },
    },
    { signal },
  );
  let values: Float64Array | undefined;
  let vectors: readonly Uint8Array<ArrayBuffer>[] = [];
  const received = [0, 0];
  for await (const { event } of events) {
    if (event.case === "values") {
      if (values !== undefined) throw corrupt("its values came twice");
      values = Float64Array.from(event.value.values);
      const isSound = values.every((value, i) => value >= 0 && value <= (values?.[i - 1] ?? Number.MAX_VALUE));
      if (values.length > Math.min(rank, rows, columns) || !isSound) throw corrupt(`${values.length} values`);
      vectors = [rows, columns].map((length) => new Uint8Array(4 * length * (values?.length ?? 0)));
    } else if (event.case === "chunk") {
      const { piece, offset, data, crc32: expected } = event.value;
      const [target, at] = [vectors[piece], received[piece]];
      if (target === undefined || at === undefined) throw corrupt(`a chunk of piece ${piece}`);
      if (toSafeNumber(offset) !== at || at + data.length > target.length) throw corrupt(`a chunk at ${offset}`);
      if (crc32(data) !== expected) throw corrupt(`a chunk at ${offset} fails its check`);
      target.set(data, at);
      received[piece] = at + data.length;
    }
  }
  const [left, right] = vectors;
  if (values === undefined || left === undefined || right === undefined) throw corrupt("there are none");
  if (received[0] !== left.length || received[1] !== right.length) throw corrupt("some are missing");
  return { values, left: new Float32Array(left.buffer), right: new Float32Array(right.buffer) };
}
