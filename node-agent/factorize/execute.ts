import { crc32 } from "node:zlib";
import { toSafeNumber } from "../../shared/bytes.js";
import type { ComputableDtype } from "../../shared/checkpoint/dtypes.js";
import { AmalgamError } from "../../shared/errors.js";
import type { FactorizeRequest, TensorSource } from "../../shared/gen/amalgam/v1/agent_pb.js";
import type { Matrix } from "../../shared/linalg/matrix.js";
import { quote } from "../../shared/quote.js";
import type { UnitContext } from "../execute.js";
import { Extents } from "../files/extents.js";
import { RemoteFiles } from "../files/remote-files.js";
import { ProgressMeter } from "../progress-meter.js";
import { UnitFiles } from "../source-files.js";
import { decompose } from "./decompose.js";
import { differenceRows, type StoredMatrix } from "./matrix-rows.js";

/** Runs one factorization: request in, events out. Synchronous, as units are. The request has been checked. */
export function executeFactorize(request: FactorizeRequest, context: Omit<UnitContext, "kernels">): void {
  const { tensor, rank, epsilon, chunkBytes } = request;
  const progress = new ProgressMeter(context);
  const openRemote = (): RemoteFiles =>
    new RemoteFiles({
      arena: context.arena(),
      fetch: context.fetch,
      lookUp: () => progress.lookUp(),
      streams: 2,
      extents: new Extents([]),
    });
  using files = new UnitFiles(request.sources, [], { ...context, observer: progress, openRemote });
  const matrix = differenceRows(
    { rows: toSafeNumber(request.rows), columns: toSafeNumber(request.columns) },
    storedMatrix(request.matrix as TensorSource),
    request.base === undefined ? undefined : storedMatrix(request.base),
    (file, into, position) => files.read(file, into, position),
  );
  const onRows = (): void => progress.wrote(0);
  const { values, left, right } = namingTensor(tensor, () =>
    decompose(tensor, matrix, { rank, epsilon }, { memory: context.memory, onRows }),
  );
  progress.flush();
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
