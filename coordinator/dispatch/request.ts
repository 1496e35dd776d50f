import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { dtypeBits } from "../../shared/checkpoint/dtypes.js";
import { type Schedule, schedule } from "../../shared/expression/passes.js";
import {
  type MergeRequest,
  MergeRequestSchema,
  type PieceSchema,
  type SourceFileSchema,
} from "../../shared/gen/amalgam/v1/agent_pb.js";
import type { Program as ProgramMessage } from "../../shared/gen/amalgam/v1/program_pb.js";
import { isRemote } from "../../shared/remote/url.js";
import { programToProto } from "../../shared/rpc/program-message.js";
import { Numbering } from "../plan/numbering.js";
import type { Plan, PlannedTensor, Unit, UnitPiece } from "../plan/types.js";
import { tensorSource } from "./tensor-source.js";

/** The statistics known so far of some tensors: by tensor of the plan, then by slot of the program's schedule. */
export type Statistics = ReadonlyMap<number, readonly number[]>;

export type UnitTask =
  /** `paths`: the staged files, one per {@link Plan.files}. */
  | { readonly kind: "write"; readonly paths: readonly string[] }
  | { readonly kind: "stream"; readonly chunkBytes: number }
  | { readonly kind: "gather"; readonly pass: number };

/** A unit ready to be sent, and what the answer must look like. */
export interface UnitRequest {
  readonly unit: Unit;
  readonly epoch: number;
  readonly task: UnitTask;
  readonly message: MergeRequest;
  /** By {@link Unit.pieces}. */
  readonly pieces: readonly ExpectedPiece[];
}

export interface ExpectedPiece {
  /** The output tensor's name. */
  readonly tensor: string;
  readonly elements: number;
  /** Of output. */
  readonly bytes: number;
  /** Into {@link Plan.files}, and where in that file the piece's first byte goes. */
  readonly file: number;
  readonly offset: number;
  readonly schedule: Schedule;
  /** Elements of a row. */
  readonly row: number;
  readonly inputs: number;
}

export interface RequestOptions {
  readonly epoch: number;
  readonly task: UnitTask;
  /** Needed for pieces of a cut tensor, and for all tensors of a program with reductions over the whole model. */
  readonly statistics?: Statistics;
}

/** What a job's requests say of who leads it and of where its sources are. */
export interface RequestBuilderOptions {
  /** Of the job's leader. @default 0: nobody else can lead it */
  readonly fence?: number | bigint;
  /** Agents ("host:port") that serve a source of the plan to others. Units ask them in turn. @default none */
  readonly peersOf?: (source: number) => readonly string[];
  /** Whom the certificate at such an address has to name. @default any agent */
  readonly certifiedNameOf?: (address: string) => string | undefined;
  /** Where agents find a source that the plan knows by a mirror of it; see mirrorNodeModels(). */
  readonly placeOf?: (source: number) => SourcePlace | undefined;
}

/** A source file where agents look for it. */
export interface SourcePlace {
  /** Absolute, or the URL of a file on a server. */
  readonly path: string;
  /** Of a file on a server: nothing compares it. */
  readonly modifiedMs: number;
  /** Of a file on a server: what it calls the file's state. Agents compare headers where it calls it nothing. */
  readonly version?: string | undefined;
}

/** Builds the requests of one job. What does not change from unit to unit is computed once. */
export function createRequestBuilder(
  plan: Plan,
  job: string,
  { fence = 0, ...places }: RequestBuilderOptions = {},
): (unit: Unit, options: RequestOptions) => UnitRequest {
  const programs = plan.programs.map((program) => ({ message: programToProto(program), schedule: schedule(program) }));
  const modelElements = elementsByProgram(plan);

  return (unit, { epoch, task, statistics = new Map() }) => {
    const used = {
      sources: new Numbering<number>(),
      programs: new Numbering<number>(),
      files: new Numbering<number>(),
    };
    const expected: ExpectedPiece[] = [];
    const pieces = unit.pieces.map((piece): MessageInitShape<typeof PieceSchema> => {
      const tensor = at(plan.tensors, piece.tensor);
      const { schedule } = at(programs, tensor.program);
      const place = placeOf(tensor, piece);
      const row = rowOf(tensor.shape);
      expected.push({
        ...place,
        tensor: tensor.name,
        elements: piece.end - piece.begin,
        schedule,
        row,
        inputs: tensor.inputs.length,
      });
      return {
        tensor: tensor.name,
        program: used.programs.of(tensor.program),
        shape: tensor.shape.map(BigInt),
        begin: BigInt(piece.begin),
        end: BigInt(piece.end),
        inputs: tensor.inputs.map((input) => tensorSource(input, { ...piece, row }, used.sources)),
        parameters: [...tensor.parameters],
        statistics: [...statisticsOf(tensor, piece, schedule, task, statistics)],
        modelElements: BigInt(at(modelElements, tensor.program)),
        outputDtype: tensor.dtype,
        outputFile: used.files.of(place.file),
        outputOffset: BigInt(place.offset),
        randomStreams: (tensor.randomStreams ?? []).map(({ seed, tensor, stream }) => {
          return { seed: BigInt(seed), tensor, stream };
        }),
      };
    });
    const message = create(MergeRequestSchema, {
      job,
      fence: BigInt(fence),
      unit: unit.id,
      epoch,
      seed: BigInt(plan.seed),
      sources: used.sources.list.map((source) => sourceMessage(plan, source, places, unit.id)),
      programs: used.programs.list.map((program): ProgramMessage => at(programs, program).message),
      pieces,
      task: taskMessage(task, used.files.list),
    });
    return { unit, epoch, task, message, pieces: expected };
  };
}

/** Peers that a request names for one source. */
const maxPeers = 16;

/** A source file as agents are told about it. Each `turn` asks another peer first, so that none serves all. */
export function sourceMessage(
  plan: Plan,
  source: number,
  {
    peersOf,
    certifiedNameOf,
    placeOf: placeOfSource,
  }: Pick<RequestBuilderOptions, "peersOf" | "certifiedNameOf" | "placeOf">,
  turn = 0,
): MessageInitShape<typeof SourceFileSchema> {
  const planned = at(plan.sources, source);
  const place = placeOfSource?.(source) ?? planned;
  const { path, modifiedMs } = place;
  const file = { path, bytes: BigInt(planned.bytes), modifiedMs };
  if (isRemote(path)) return { ...file, ...stateOf(place, planned.headerSha256) };
  const peers = peersOf?.(source) ?? [];
  const first = turn % Math.max(1, peers.length);
  const inTurn = [...peers.slice(first), ...peers.slice(0, first)].slice(0, maxPeers);
  return { ...file, peers: inTurn, peerNames: inTurn.map((address) => certifiedNameOf?.(address) ?? "") };
}

/** What tells that a file on a server is still the planned one. */
function stateOf({ version }: SourcePlace, headerSha256: string): MessageInitShape<typeof SourceFileSchema> {
  return version === undefined ? { headerSha256: Buffer.from(headerSha256, "hex") } : { version };
}

/** Elements in a row, which is the last dimension. */
export function rowOf(shape: readonly number[]): number {
  return Math.max(1, shape.at(-1) ?? 1);
}

/** Elements of all the tensors that run each program: what "the model" means to it. */
export function elementsByProgram(plan: Plan): readonly number[] {
  const elements = plan.programs.map(() => 0);
  for (const tensor of plan.tensors) elements[tensor.program] = (elements[tensor.program] ?? 0) + tensor.elements;
  return elements;
}

function placeOf(tensor: PlannedTensor, piece: UnitPiece): { file: number; offset: number; bytes: number } {
  const bits = dtypeBits(tensor.dtype);
  const offset = (piece.begin * bits) / 8;
  const bytes = ((piece.end - piece.begin) * bits) / 8;
  if (!Number.isInteger(offset) || !Number.isInteger(bytes)) {
    throw new RangeError(`Piece [${piece.begin}, ${piece.end}) of "${tensor.name}" does not end at whole bytes`);
  }
  return { file: tensor.file, offset: tensor.offset + offset, bytes };
}

function statisticsOf(
  tensor: PlannedTensor,
  piece: UnitPiece,
  { slots, modelwide }: Schedule,
  task: UnitTask,
  statistics: Statistics,
): readonly number[] {
  if (slots === 0) return [];
  const known = statistics.get(piece.tensor);
  if (known !== undefined) return known;
  if (task.kind === "gather") return new Array<number>(slots).fill(Number.NaN);
  const isWhole = piece.begin === 0 && piece.end === tensor.elements;
  if (isWhole && !modelwide) return [];
  throw new RangeError(`The statistics of "${tensor.name}" have not been gathered`);
}

function taskMessage(task: UnitTask, files: readonly number[]): MergeRequest["task"] {
  const init = ((): MessageInitShape<typeof MergeRequestSchema>["task"] => {
    switch (task.kind) {
      case "write":
        return { case: "writeFiles", value: { paths: files.map((file) => at(task.paths, file)) } };
      case "stream":
        return { case: "streamChunks", value: { chunkBytes: task.chunkBytes } };
      case "gather":
        return { case: "gatherStatistics", value: { pass: task.pass } };
    }
  })();
  return create(MergeRequestSchema, init === undefined ? {} : { task: init }).task;
}

/** Indices come from the plan itself, so a miss is a bug. */
function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`Index ${index} is not in a list of ${list.length}`);
  return item;
}
