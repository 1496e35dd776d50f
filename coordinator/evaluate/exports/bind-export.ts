import { create, toBinary } from "@bufbuild/protobuf";
import type { Checkpoint } from "../../../shared/checkpoint/open.js";
import {
  TensorProto_DataLocation as DataLocation,
  ModelProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from "../../../shared/gen/onnx/onnx_pb.js";
import type { WeightBinding } from "../../../shared/onnx/bind-weights.js";
import type { GraphWeight } from "../../../shared/onnx/graph-builder.js";
import { describeExport, type ExportDescription } from "./describe-export.js";
import { hoistConstants } from "./hoist-constants.js";
import { keepInside } from "./keep-inside.js";
import { refuseLost } from "./lost-weights.js";
import { checkpointNumbers, OpenFiles } from "./numbers.js";
import { readExport } from "./read-export.js";
import { search } from "./search.js";

/** An export whose weights any checkpoint like the base can take the place of. */
export interface BoundExport {
  /** The serialized graph; initializers that were found in the base have no data any more. */
  readonly model: Uint8Array;
  /** The initializers that were found, for `checkWeights()`. */
  readonly weights: readonly GraphWeight[];
  /** Where they are in a checkpoint, those that are not simply under their own names; for `bindWeights()`. */
  readonly bindings: readonly WeightBinding[];
  readonly description: ExportDescription;
  readonly report: ExportReport;
}

/** What was found, for people. */
export interface ExportReport {
  /** Initializers that were found in the base. */
  readonly bound: number;
  /** Among them, those that several tensors equal, and which one was taken by name or order. */
  readonly ties: readonly { readonly initializer: string; readonly taken: string; readonly equal: readonly string[] }[];
  /** Initializers of more than one number that stay as they are in the export: constants of its own. */
  readonly kept: readonly { readonly name: string; readonly shape: readonly number[] }[];
  /** The base's tensors that the export does not have. */
  readonly unused: readonly string[];
}

/**
 * Finds an export's weights in the checkpoint it was made from, by their values: equal, equal transposed, or several tensors
 * packed one after the other. A name that is the same decides among equals only. Reads the export and the base once or a few
 * times, a few megabytes at a time.
 *
 * Throws `checkpoint_mismatch` when a weight is not to be found, as with a base that is not the export's, a quantized export,
 * or weights that were folded into others; it lists them, with the reason where that is cheap to see.
 */
export async function bindExport(exportPath: string, base: Checkpoint): Promise<BoundExport> {
  const source = await readExport(exportPath);
  const { graph } = source;
  hoistConstants(graph);
  const description = describeExport(graph);
  await using files = new OpenFiles();
  const tensors = checkpointNumbers(base, files);
  const { found, rest } = await search(source, tensors, files);
  const used = new Set([...found.values()].flatMap(({ pieces }) => pieces.map(({ tensor }) => tensor)));
  const unused = tensors.filter(({ name }) => !used.has(name));
  await refuseLost(exportPath, base, rest, unused);

  const bindings = [...found].flatMap(([initializer, { pieces }]) =>
    pieces.map((piece) => ({ initializer, ...piece })),
  );
  const weights = graph.initializer.filter(({ name }) => found.has(name));
  graph.initializer = await Promise.all(
    graph.initializer.map((tensor) =>
      found.has(tensor.name) ? withoutData(tensor) : keepInside(tensor, source.folder, files),
    ),
  );
  return {
    model: toBinary(ModelProtoSchema, source.model),
    weights: weights.map(({ name, dims }) => ({ name, shape: dims.map(Number) })),
    bindings: bindings.filter(({ initializer, tensor, transposed }) => initializer !== tensor || transposed),
    description,
    report: {
      bound: found.size,
      ties: [...found].flatMap(([initializer, { pieces, ties }]) =>
        ties.length === 0 ? [] : [{ initializer, taken: pieces.map(({ tensor }) => tensor).join(" + "), equal: ties }],
      ),
      kept: rest.filter(({ shape }) => shape.some((size) => size !== 1)).map(({ name, shape }) => ({ name, shape })),
      unused: unused.map(({ name }) => name),
    },
  };
}

function withoutData({ name, dims, dataType }: TensorProto): TensorProto {
  const externalData = [{ key: "location", value: "checkpoint" }];
  return create(TensorProtoSchema, { name, dims, dataType, dataLocation: DataLocation.EXTERNAL, externalData });
}
