import { isDtype } from "../shared/checkpoint/dtypes.js";
import { AmalgamError } from "../shared/errors.js";
import { type Schedule, schedule } from "../shared/expression/passes.js";
import type { Program } from "../shared/expression/program.js";
import type { MergeRequest, Piece, SourceFile } from "../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../shared/quote.js";
import { maxMessageBytes, parseAddress } from "../shared/rpc/channel.js";
import { programFromProto } from "../shared/rpc/program.js";
import { assertInput } from "./inputs/check.js";

/** A chunk and its envelope must fit a message with room to spare. */
const maxChunkBytes = maxMessageBytes / 4;

/** Agents that one source can be read from. */
const maxPeers = 1_000;

/** Elements of a tensor: 2^43 bytes of F32. Blocks and random numbers are numbered well within 53 bits. */
const maxElements = 2 ** 41;

/**
 * Refuses a request that contradicts itself, so that a worker may take its numbers as they are: indices are in range,
 * counts agree with the programs, sizes are safe integers. Files are the worker's to check, when it opens them.
 */
export function assertRequest(request: MergeRequest): void {
  const programs = request.programs.map((program) => {
    const decoded = programFromProto(program);
    return { program: decoded, schedule: schedule(decoded) };
  });
  within("seed", request.seed, Number.MAX_SAFE_INTEGER);
  for (const source of request.sources) assertSource(source);
  if (request.pieces.length === 0) throw refused("it has no pieces");
  for (const piece of request.pieces) {
    const known = programs[piece.program];
    if (known === undefined)
      throw refused(`${quote(piece.tensor)} runs program ${piece.program} of ${programs.length}`);
    assertPiece(piece, known.program, known.schedule, request);
  }
  assertTask(
    request,
    programs.map((known) => known.schedule),
  );
}

/** Peers are what an agent connects to because a request says so. */
export function assertSource({ path, bytes, peers, peerNames }: SourceFile): void {
  within(`size of ${quote(path)}`, bytes, Number.MAX_SAFE_INTEGER);
  if (peers.length > maxPeers) {
    throw refused(`${quote(path)} is said to be at ${peers.length} agents, the limit is ${maxPeers}`);
  }
  for (const peer of peers) parseAddress(peer);
  if (peerNames.length > peers.length) {
    throw refused(`${quote(path)} has ${peerNames.length} names for ${peers.length} agents`);
  }
}

function assertPiece(piece: Piece, program: Program, { slots, modelwide }: Schedule, request: MergeRequest): void {
  const refuse = (reason: string): AmalgamError => refused(`${quote(piece.tensor)} has ${reason}`);
  const elements = piece.shape.reduce((product, dimension) => product * within("dimension", dimension, maxElements), 1);
  within("element count", BigInt(elements), maxElements);
  within("model's element count", piece.modelElements, Number.MAX_SAFE_INTEGER);
  if (piece.begin > piece.end || piece.end > BigInt(elements)) {
    throw refuse(`elements [${piece.begin}, ${piece.end}) of ${elements}`);
  }
  const { inputs, parameters, statistics, outputDtype } = piece;
  if (inputs.length !== program.inputs) throw refuse(`${inputs.length} inputs, its program ${program.inputs}`);
  if (parameters.length !== program.parameters.length) {
    throw refuse(`${parameters.length} parameters, its program ${program.parameters.length}`);
  }
  if (!isDtype(outputDtype)) throw refuse(`the dtype ${quote(outputDtype)}`);
  const shape = piece.shape.map(Number);
  const [begin, end] = [Number(piece.begin), Number(piece.end)];
  for (const input of inputs) assertInput(input, { shape, elements, begin, end, sources: request.sources, refuse });
  assertRandomStreams(piece, program, refuse);
  const isWhole = piece.begin === 0n && piece.end === BigInt(elements);
  const gathersItself = statistics.length === 0 && isWhole && !modelwide && request.task.case !== "gatherStatistics";
  if (!gathersItself && statistics.length !== slots) {
    throw refuse(`${statistics.length} statistics, its program ${slots}`);
  }
}

/** A piece brings a key for every stream that its program draws from, or for none. */
function assertRandomStreams(
  { randomStreams }: Piece,
  program: Program,
  refuse: (reason: string) => AmalgamError,
): void {
  if (randomStreams.length === 0) return;
  for (const { seed } of randomStreams) within("random stream's seed", seed, Number.MAX_SAFE_INTEGER);
  const streams = program.nodes.reduce(
    (most, { op, value }) => (op === "uniform" ? Math.max(most, value + 1) : most),
    0,
  );
  if (randomStreams.length < streams) {
    throw refuse(`${randomStreams.length} random streams, its program ${streams}`);
  }
}

function assertTask({ task, pieces }: MergeRequest, schedules: readonly Schedule[]): void {
  switch (task.case) {
    case "writeFiles":
      for (const { tensor, outputFile, outputOffset } of pieces) {
        within("output offset", outputOffset, Number.MAX_SAFE_INTEGER);
        if (outputFile < task.value.paths.length) continue;
        throw refused(`${quote(tensor)} goes to file ${outputFile} of ${task.value.paths.length}`);
      }
      return;
    case "streamChunks": {
      const { chunkBytes } = task.value;
      if (chunkBytes >= 1 && chunkBytes <= maxChunkBytes) return;
      throw refused(`chunks of ${chunkBytes} bytes are not between 1 and ${maxChunkBytes}`);
    }
    case "gatherStatistics": {
      // Counts of model scope are merged over all pieces, which makes sense for one program only.
      const [first] = pieces;
      if (pieces.some((piece) => piece.program !== first?.program)) throw refused("it gathers for several programs");
      const passes = schedules[first?.program ?? 0]?.statistics.length ?? 0;
      if (task.value.pass < passes) return;
      throw refused(`it asks for statistics pass ${task.value.pass} of ${passes}`);
    }
    default:
      throw refused("it has no task that this agent knows");
  }
}

function within(what: string, value: bigint, limit: number): number {
  if (value > BigInt(limit)) throw refused(`a ${what} of ${value} is above the limit of ${limit}`);
  return Number(value);
}

function refused(reason: string): AmalgamError {
  return new AmalgamError("usage", `Cannot run a merge request: ${reason}`);
}
