import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { formatBytes } from "../../../shared/bytes.js";
import { AmalgamError } from "../../../shared/errors.js";
import {
  type PieceSchema,
  type TrialTaskSchema,
  type TryRequest,
  TryRequestSchema,
} from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { maxMessageBytes } from "../../../shared/rpc/channel.js";
import type { Leadership } from "../../dispatch/agents.js";
import { createRequestBuilder, type Statistics, type UnitRequest } from "../../dispatch/request.js";
import type { Prepared } from "../../evaluate/kinds/context.js";
import { bindingMessages, rolesOf } from "../../evaluate/request.js";
import type { Measure } from "../../evaluate/types.js";
import { cacheMessage, measureMessage } from "../../evaluate/wire.js";
import type { Plan } from "../../plan/types.js";
import { type BatchBlob, type Blob, graphBlob, keyOf } from "./blobs.js";
import { cutPieces } from "./pieces.js";
import type { PreparedPart } from "./prepared-model.js";

/** Batches that are asked for under one number. */
export interface ExpectedTask {
  /** Into the parts that were asked for. */
  readonly part: number;
  readonly measure: Measure;
  readonly batches: ReadonlyMap<number, BatchBlob>;
}

/** A trial ready to be sent, and what the answer must look like. */
export interface TrialRequest {
  readonly message: TryRequest;
  /** The pieces of the merge, as receipts are checked against them. */
  readonly unit: UnitRequest;
  /** By {@link TrialTask.task}. */
  readonly tasks: readonly ExpectedTask[];
  /** All that the message refers to by digest. */
  readonly blobs: readonly Blob[];
}

export interface TrialRequestParts {
  readonly plan: Plan;
  readonly weights: string;
  /** The trial's number, for messages. */
  readonly trial: number;
  readonly leadership: Leadership;
  readonly threads: number;
  readonly parts: readonly PreparedPart[];
}

interface AttemptParts {
  readonly epoch: number;
  readonly statistics: Statistics;
}

/** Builds the requests of one trial: what attempts share is made once. Fails with `usage` for batches that are too large. */
export async function createTrialRequests(parts: TrialRequestParts): Promise<(attempt: AttemptParts) => TrialRequest> {
  const { plan, weights, trial, leadership, threads } = parts;
  const build = createRequestBuilder(plan, leadership.job);
  const { tasks, messages, blobs } = await describeTasks(parts.parts);
  const paths = plan.files.map(({ name }) => name);
  return ({ epoch, statistics }) => {
    const pieces = cutPieces(plan, (tensor) => statistics.has(tensor));
    const whole = { id: trial, pieces, bytesRead: 0, bytesWritten: 0 };
    const unit = build(whole, { epoch, task: { kind: "write", paths }, statistics });
    const message = create(TryRequestSchema, {
      ...{ leadership, trial, epoch, threads, tasks: messages },
      model: {
        digest: Buffer.from(weights, "hex"),
        seed: unit.message.seed,
        sources: unit.message.sources,
        programs: unit.message.programs,
        pieces: unit.message.pieces.map((piece, i): MessageInitShape<typeof PieceSchema> => {
          return { ...piece, outputFile: unit.pieces[i]?.file ?? 0 };
        }),
        files: plan.files.map(({ name, header, bytes }) => ({ name, header, bytes: BigInt(bytes) })),
      },
    });
    assertSize(message);
    return { message, unit, tasks, blobs };
  };
}

async function describeTasks(parts: readonly PreparedPart[]) {
  const tasks: ExpectedTask[] = [];
  const messages: MessageInitShape<typeof TrialTaskSchema>[] = [];
  /** By digest: tasks share graphs. */
  const blobs = new Map<string, Blob>();
  for (const [part, asked] of parts.entries()) {
    const { prepared } = asked;
    const { graphs } = prepared;
    for (const [measure, own] of byMeasure(prepared, await asked.blobs())) {
      const roles = rolesOf(measure, graphs).flatMap((role) => {
        const graph = graphs.graphs[role];
        return graph === undefined ? [] : [{ role, graph, blob: graphBlob(graph.model) }];
      });
      messages.push({
        task: tasks.length,
        graphs: roles.map(({ role, graph, blob }) => {
          return { role, model: blob.digest, bindings: bindingMessages(graph) };
        }),
        ...(graphs.cache === undefined ? {} : { cache: cacheMessage(graphs.cache) ?? [] }),
        measure: measureMessage(measure, graphs.decoderStart),
        batches: own.map(({ digest }) => digest),
      });
      tasks.push({ part, measure, batches: new Map(own.map((blob) => [blob.batch, blob])) });
      for (const blob of [...roles.map(({ blob }) => blob), ...own]) blobs.set(keyOf(blob), blob);
    }
  }
  return { tasks, messages, blobs: [...blobs.values()] };
}

/** A task has one measure mostly, and two where texts stand for its classes. */
function byMeasure({ batches }: Prepared, blobs: readonly BatchBlob[]): ReadonlyMap<Measure, readonly BatchBlob[]> {
  const groups = new Map<Measure, BatchBlob[]>();
  for (const blob of blobs) {
    const measure = batches[blob.batch]?.measure;
    if (measure === undefined) continue;
    const group = groups.get(measure);
    if (group === undefined) groups.set(measure, [blob]);
    else group.push(blob);
  }
  return groups;
}

/** What a piece takes in a message beside its name, numbers and rows; an input of it; and a segment of rows. */
const [pieceOverhead, inputOverhead, segmentOverhead] = [128, 64, 16];

/** A message that is too large fails at its sender with no word of what it was. Estimated: to encode it twice takes longer. */
function assertSize({ trial, model }: TryRequest): void {
  let bytes = 1 << 20;
  for (const { header } of model?.files ?? []) bytes += header.length;
  for (const { tensor, parameters, statistics, inputs } of model?.pieces ?? []) {
    bytes += pieceOverhead + tensor.length + 8 * (parameters.length + statistics.length);
    for (const { rows } of inputs) bytes += inputOverhead + segmentOverhead * (rows?.segments.length ?? 0);
  }
  if (bytes <= maxMessageBytes) return;
  const [shown, limit] = [formatBytes(bytes), formatBytes(maxMessageBytes)];
  throw new AmalgamError(
    "usage",
    `Cannot send trial ${trial} at once: the description of its ${model?.pieces.length} pieces has about ${shown}, above the limit of ${limit}`,
  );
}
