import { mapBounded } from "../../shared/checkpoint/bounded.js";
import type { Plan } from "../plan/types.js";
import type { PieceResult, Pieces } from "./pieces.js";
import { checkRanges } from "./reading.js";

/** Files whose reading is prepared at once; how many are read at once is decided where they are read. */
const concurrency = 8;

export interface CheckPiecesOptions {
  /** Which pieces to read. @default all */
  readonly isWanted?: (piece: PieceResult) => boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Reads pieces that are in place and returns those whose bytes are not what their receipts say. */
export async function checkPieces(
  plan: Plan,
  paths: readonly string[],
  pieces: Pieces,
  { isWanted = () => true, signal }: CheckPiecesOptions = {},
): Promise<PieceResult[]> {
  const changed = await mapBounded(plan.files, concurrency, async (_, file) => {
    const wanted = pieces.inFile(file).filter(({ piece }) => isWanted(piece));
    const ranges = wanted.map(({ piece, range }) => ({ ...range, crc32: piece.crc32 }));
    const places = new Set(await checkRanges(paths[file] ?? "", ranges, signal));
    return wanted.filter((_, place) => places.has(place)).map(({ piece }) => piece);
  });
  return changed.flat();
}
