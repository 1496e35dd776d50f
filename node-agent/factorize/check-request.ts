import { isComputable, isDtype } from "../../shared/checkpoint/dtypes.js";
import { tensorBytes } from "../../shared/checkpoint/tensor-bytes.js";
import { AmalgamError } from "../../shared/errors.js";
import type { FactorizeRequest, TensorSource } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../shared/quote.js";
import { maxMessageBytes } from "../../shared/rpc/channel.js";
import { assertSource } from "../check-request.js";

/** No matrix has more singular values. What a decomposition can do is less and depends on the matrix. */
const maxRank = 1 << 24;

const maxChunkBytes = maxMessageBytes / 4;

/** Refuses a request that contradicts itself, so that a worker may take its numbers as they are. */
export function assertFactorizeRequest(request: FactorizeRequest): void {
  const { tensor, matrix, base, rows, columns, rank, epsilon, chunkBytes } = request;
  const refuse = (reason: string): AmalgamError =>
    new AmalgamError("usage", `Cannot factorize ${quote(tensor)}: ${reason}`, { details: { tensor } });
  if (matrix === undefined) throw refuse("no matrix is named");
  if (rows < 1n || columns < 1n || rows * columns > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw refuse(`it is ${rows} × ${columns}`);
  }
  if (rank < 1 || rank > maxRank) throw refuse(`rank ${rank} is not between 1 and ${maxRank}`);
  if (!(epsilon >= 0)) throw refuse(`epsilon is ${epsilon}`);
  if (chunkBytes < 4 || chunkBytes > maxChunkBytes) throw refuse(`chunks of ${chunkBytes} bytes`);
  for (const source of request.sources) assertSource(source);
  const assertTensor = ({ file, offset, dtype, updates, rows: rowMap }: TensorSource): void => {
    const source = request.sources[file];
    if (source === undefined) throw refuse(`source file ${file} of ${request.sources.length}`);
    if (!isDtype(dtype) || !isComputable(dtype)) throw refuse(`it has the dtype ${quote(dtype)}`);
    if (updates.length > 0 || rowMap !== undefined) throw refuse("it is not read as it is stored");
    const bytes = tensorBytes(dtype, [Number(rows), Number(columns)]);
    if (bytes === undefined || offset + BigInt(bytes) > source.bytes) {
      throw refuse(`${rows} × ${columns} elements at ${offset} go beyond ${quote(source.path)}`);
    }
  };
  assertTensor(matrix);
  if (base !== undefined) assertTensor(base);
}
