import { fromBinary } from "@bufbuild/protobuf";
import {
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  type GraphProto,
  ModelProtoSchema,
} from "../../../shared/gen/onnx/onnx_pb.js";
import { elementsOf } from "../../../shared/shape.js";

/** What a bound graph's weights are like, for estimating memory. */
export interface WeightSurvey {
  /** As stored, mapped from the checkpoint's files. */
  readonly storedBytes: number;
  /** In f32, of those that are stored narrower and cast whole. */
  readonly castBytes: number;
  /** Of the largest one of them. */
  readonly largestCastBytes: number;
  /** The largest dimension of a weight that is multiplied with: no token's activation is wider. */
  readonly widest: number;
}

const narrow: ReadonlySet<number> = new Set([
  DataType.BFLOAT16,
  DataType.FLOAT16,
  DataType.FLOAT8E4M3FN,
  DataType.FLOAT8E5M2,
]);

/** Of a model that `bindWeights` made. */
export function surveyWeights(model: Uint8Array): WeightSurvey {
  const { graph } = fromBinary(ModelProtoSchema, model);
  const survey = { storedBytes: 0, castBytes: 0, largestCastBytes: 0, widest: 1 };
  if (graph === undefined) return survey;
  const gathered = onlyGathered(graph);
  for (const { name, dims, dataType, dataLocation, externalData } of graph.initializer) {
    const shape = dims.map(Number);
    const length = externalData.find(({ key }) => key === "length")?.value;
    if (dataLocation === DataLocation.EXTERNAL) survey.storedBytes += Number(length ?? 0);
    if (gathered.has(name)) continue;
    if (shape.length > 1) survey.widest = Math.max(survey.widest, ...shape);
    if (dataLocation !== DataLocation.EXTERNAL || !narrow.has(dataType)) continue;
    const wide = 4 * elementsOf(shape);
    survey.castBytes += wide;
    survey.largestCastBytes = Math.max(survey.largestCastBytes, wide);
  }
  return survey;
}

/** Weights of which a run only ever takes rows, as of an embedding. */
function onlyGathered({ node }: GraphProto): ReadonlySet<string> {
  const gathered = new Set<string>();
  const others = new Set<string>();
  for (const { opType, input } of node) {
    for (const [i, name] of input.entries()) (opType === "Gather" && i === 0 ? gathered : others).add(name);
  }
  return new Set([...gathered].filter((name) => !others.has(name)));
}
