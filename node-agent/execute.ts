import { crc32 } from "node:zlib";
import { toSafeNumber } from "../shared/bytes.js";
import { type Dtype, isDtype } from "../shared/checkpoint/dtypes.js";
import { AmalgamError } from "../shared/errors.js";
import { schedule } from "../shared/expression/passes.js";
import type { Program } from "../shared/expression/program.js";
import { concatenate, type Partial } from "../shared/expression/statistics.js";
import type {
  GatherStatistics,
  MergeRequest,
  Piece,
  RandomStream as RandomStreamMessage,
} from "../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../shared/quote.js";
import { isRemote } from "../shared/remote/url.js";
import { programFromProto } from "../shared/rpc/program.js";
import type { Kernel } from "./compute/wasm/kernel.js";
import type { TileMemory } from "./compute/wasm/memory.js";
import type { ArenaState, FetchMessage } from "./files/arena.js";
import { RemoteFiles } from "./files/remote-files.js";
import { inputFromProto } from "./inputs/from-proto.js";
import { extentsOf, streamsOf } from "./inputs/reach.js";
import type { IoLimit } from "./io-limit.js";
import { type PieceEnvironment, PieceRun, type PieceTask, type RandomStream } from "./piece.js";
import { ProgressMeter } from "./progress-meter.js";
import type { Confinement } from "./roots.js";
import { UnitFiles } from "./source-files.js";
import type { WorkerMessage } from "./worker-protocol.js";

/** What a unit needs of the worker that runs it. */
export interface UnitContext {
  readonly memory: TileMemory;
  readonly kernels: Map<string, Kernel>;
  readonly confinement: Confinement;
  readonly ioLimit: IoLimit | undefined;
  /** Where bytes of other agents and of servers arrive. Made when first needed. */
  readonly arena: () => ArenaState;
  /** Has such bytes put into the arena. */
  fetch(message: FetchMessage): void;
  /** Sends an event on its way. May wait, when the unit is ahead of the network. */
  emit(message: WorkerMessage): void;
  /** Throws when the unit was canceled. */
  assertWanted(): void;
}

/** Runs one unit: request in, events out. Synchronous, since a worker thread has nothing else to do. */
export function executeUnit(request: MergeRequest, context: UnitContext): void {
  const { task } = request;
  const programs = request.programs.map(programFromProto);
  const outputs = task.case === "writeFiles" ? task.value.paths.map(context.confinement.writable) : [];
  const progress = new ProgressMeter(context);
  const isOnServer = (source: number): boolean => isRemote(request.sources[source]?.path ?? "");
  const lookUp = (source: number): void => (isOnServer(source) ? progress.lookUpOnServer() : progress.lookUp());
  const openRemote = (): RemoteFiles => {
    const reach = { extents: extentsOf(request.pieces), streams: streamsOf(request.pieces), isOnServer };
    return new RemoteFiles({ arena: context.arena(), fetch: context.fetch, lookUp, ...reach });
  };
  using files = new UnitFiles(request.sources, outputs, { ...context, observer: progress, openRemote });
  const runOf = (piece: Piece): PieceRun => {
    context.memory.clear();
    return new PieceRun(decodePiece(piece, programs, request.seed), {
      memory: context.memory,
      kernels: context.kernels,
      read: (file, into, position) => files.read(file, into, position),
      progress: (_, written) => progress.wrote(written),
    } satisfies PieceEnvironment);
  };

  if (task.case === "gatherStatistics") gather(request, task.value, programs, runOf, context);
  else if (task.case === undefined) throw new AmalgamError("usage", `Unit ${request.unit} says no task`);
  else {
    const place = writerOf(request, files, context);
    request.pieces.forEach((piece, index) => {
      const run = runOf(piece);
      const gathers = piece.statistics.length === 0;
      if (gathers) run.gatherAll();
      const { bytes, crc32, ...seen } = run.map((data, offset) => place(piece, index, data, offset));
      context.emit({
        type: "receipt",
        receipt: {
          piece: index,
          bytes: BigInt(bytes),
          crc32,
          nonFinite: BigInt(seen.nonFinite),
          overflowed: BigInt(seen.overflowed),
          largest: seen.largest,
          inputsNonFinite: seen.inputsNonFinite.map(BigInt),
          statistics: gathers ? run.statistics : [],
        },
      });
    });
  }
  progress.flush();
}

type PlaceBytes = (piece: Piece, index: number, data: Uint8Array, offset: number) => void;

/** Where output bytes go: into the staged file, or back to the coordinator, a chunk or more per tile. */
function writerOf({ task }: MergeRequest, files: UnitFiles, context: UnitContext): PlaceBytes {
  if (task.case !== "streamChunks") {
    return (piece, _, data, offset) => files.write(piece.outputFile, data, toSafeNumber(piece.outputOffset) + offset);
  }
  const { chunkBytes } = task.value;
  return (_, piece, data, offset) => {
    for (let at = 0; at < data.length; at += chunkBytes) {
      // A copy: the tile is written over while the chunk is on its way.
      const chunk = Uint8Array.from(data.subarray(at, at + chunkBytes));
      context.emit({ type: "chunk", piece, offset: offset + at, data: chunk, crc32: crc32(chunk) });
    }
  };
}

/**
 * One statistics pass over all pieces. Sums go out per piece, since they are added in the order of the whole model;
 * counts and maxima of model scope are merged here, so that a unit of many tensors sends them once.
 */
function gather(
  { pieces }: MergeRequest,
  { pass }: GatherStatistics,
  programs: readonly Program[],
  runOf: (piece: Piece) => PieceRun,
  context: UnitContext,
): void {
  const modelwide = new Map<number, Partial>();
  pieces.forEach((piece, index) => {
    const gathers = schedule(programs[piece.program] as Program).statistics[pass]?.gathers ?? [];
    runOf(piece)
      .gather(pass)
      .forEach((partial, place) => {
        if (partial.kind === "sum" || gathers[place]?.scope !== "model") emitPartial(context, place, partial, index);
        else {
          const before = modelwide.get(place);
          modelwide.set(place, before === undefined ? partial : concatenate(partial.kind, [before, partial]));
        }
      });
  });
  for (const [place, partial] of modelwide) emitPartial(context, place, partial);
}

function emitPartial(context: UnitContext, gather: number, partial: Partial, piece?: number): void {
  const of = { gather, ...(piece === undefined ? {} : { piece }) };
  if (partial.kind === "sum") context.emit({ type: "partial", partial: { ...of, sums: [...partial.blocks] } });
  else if (partial.kind === "largest") context.emit({ type: "partial", partial: { ...of, largest: partial.value } });
  else {
    const bins: number[] = [];
    const counts: bigint[] = [];
    partial.counts.forEach((count, bin) => {
      if (count === 0) return;
      bins.push(bin);
      counts.push(BigInt(count));
    });
    context.emit({ type: "partial", partial: { ...of, bins, counts } });
  }
}

function decodePiece(piece: Piece, programs: readonly Program[], seed: bigint): PieceTask {
  const program = programs[piece.program];
  if (program === undefined) throw new AmalgamError("usage", `Piece names program ${piece.program}, which is not sent`);
  return {
    tensor: piece.tensor,
    program,
    shape: piece.shape.map(toSafeNumber),
    begin: toSafeNumber(piece.begin),
    end: toSafeNumber(piece.end),
    inputs: piece.inputs.map(inputFromProto),
    parameters: piece.parameters,
    statistics: piece.statistics,
    modelElements: toSafeNumber(piece.modelElements),
    outputDtype: knownDtype(piece.outputDtype),
    seed: toSafeNumber(seed),
    ...(piece.randomStreams.length === 0 ? {} : { randomStreams: piece.randomStreams.map(decodeStream) }),
  };
}

function decodeStream({ seed, tensor, stream }: RandomStreamMessage): RandomStream {
  return { seed: toSafeNumber(seed), tensor, stream };
}

function knownDtype(name: string): Dtype {
  if (!isDtype(name)) throw new AmalgamError("usage", `Unknown dtype ${quote(name)}`);
  return name;
}
