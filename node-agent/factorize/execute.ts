import { crc32 } from "node:zlib";
import { toSafeNumber } from "../../shared/bytes.js";
import type { ComputableDtype } from "../../shared/checkpoint/dtypes.js";
import { AmalgamError } from "../../shared/errors.js";
import type { FactorizeRequest, TensorSource } from "../../shared/gen/amalgam/v1/agent_pb.js";
import type { Matrix } from "../../shared/linalg/matrix.js";
import { quote } from "../../shared/quote.js";
import type { UnitContext } from "../execute.js";
import { UnitFiles } from "../source-files.js";
import { decompose } from "./decompose.js";
import { differenceRows, type StoredMatrix } from "./matrix-rows.js";

/** A progress event at least this often. */
const progressBytes = 16 << 20;

/** Runs one factorization: request in, events out. Synchronous, as units are. The request has been checked. */
export function executeFactorize(
  request: FactorizeRequest,
  context: Pick<UnitContext, "memory" | "confinement" | "emit" | "assertWanted">,
): void {
  const { tensor, rank, epsilon, chunkBytes } = request;
  const sources = request.sources.map(({ path, bytes, modifiedMs }) => {
    return { path: context.confinement.readable(path), bytes: toSafeNumber(bytes), modifiedMs };
  });
  using files = new UnitFiles(sources, []);
  let bytesRead = 0;
  const report = (): void => {
    context.emit({ type: "progress", bytesRead, bytesWritten: 0, ioSeconds: files.takeIoSeconds() });
    bytesRead = 0;
  };
  const matrix = differenceRows(
    { rows: toSafeNumber(request.rows), columns: toSafeNumber(request.columns) },
    storedMatrix(request.matrix as TensorSource),
    request.base === undefined ? undefined : storedMatrix(request.base),
    (file, into, position) => {
      files.read(file, into, position);
      bytesRead += into.length;
    },
  );
  const onRows = (): void => {
    context.assertWanted();
    if (bytesRead >= progressBytes) report();
  };
  const { values, left, right } = namingTensor(tensor, () =>
    decompose(tensor, matrix, { rank, epsilon }, { memory: context.memory, onRows }),
  );
  report();
  context.emit({ type: "values", values });
  emitVectors(left, 0);
  emitVectors(right, 1);

  function emitVectors({ data }: Matrix, piece: number): void {
    const bytes = new Uint8Array(Float32Array.from(data).buffer);
    for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
      const chunk = bytes.slice(offset, offset + chunkBytes);
      context.emit({ type: "chunk", piece, offset, data: chunk, crc32: crc32(chunk) });
    }
  }
}

function storedMatrix({ file, offset, dtype }: TensorSource): StoredMatrix {
  return { file, offset: toSafeNumber(offset), dtype: dtype as ComputableDtype };
}

function namingTensor<T>(tensor: string, act: () => T): T {
  try {
    return act();
  } catch (reason) {
    const { code, message, details } = AmalgamError.from(reason);
    throw new AmalgamError(code, `Cannot factorize ${quote(tensor)}: ${message}`, {
      cause: reason,
      details: { ...details, tensor },
    });
  }
}
