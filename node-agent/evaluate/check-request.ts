import { AmalgamError } from "../../shared/errors.js";
import type {
  EvaluatedModel,
  EvaluateRequest,
  EvaluationBatch,
  InputTensor,
} from "../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../shared/quote.js";
import { elementsOf } from "../../shared/shape.js";
import { suggest } from "../../shared/suggest.js";
import { assertSource } from "../check-request.js";
import { limits } from "./limits.js";

/** See ModelGraphs in coordinator/graphs/types.ts. */
const roles = ["body", "head", "step", "encoder", "text", "image"];

const elementBytes: Readonly<Record<string, number>> = { F32: 4, I64: 8, I32: 4, U8: 1 };

/**
 * Refuses a request that contradicts itself or asks for too much, with `usage`, so that whoever runs it may take its
 * numbers as they are. Whether graphs, checkpoint and inputs fit one another is found out when they meet.
 */
export function assertEvaluateRequest(request: EvaluateRequest): void {
  const { model, batches, threads } = request;
  if (model === undefined) throw refused("it names no model");
  assertModel(model);
  assertMeasure(request, new Set(model.graphs.map(({ role }) => role)));
  between("number of batches", batches.length, 1, limits.batches);
  between("number of threads", threads, 0, limits.threads);
  assertDistinct(
    "batch",
    batches.map(({ batch }) => String(batch)),
  );
  for (const batch of batches) assertBatch(batch, request.measure.case === "likelihood");
}

function assertModel({ sources, graphs, cache }: EvaluatedModel): void {
  between("number of weight files", sources.length, 1, limits.sources);
  for (const source of sources) assertSource(source);
  between("number of graphs", graphs.length, 1, roles.length);
  for (const { role, model, bindings } of graphs) {
    if (!roles.includes(role)) throw unknownRole(role);
    if (model.length === 0) throw refused(`the graph ${quote(role)} is empty`);
    between(`number of bindings of the graph ${quote(role)}`, bindings.length, 0, limits.bindings);
    for (const { initializer, tensor } of bindings) {
      between("length of a name", Math.max(initializer.length, tensor.length), 1, limits.name);
    }
  }
  assertDistinct(
    "graph",
    graphs.map(({ role }) => role),
  );
  between("number of cache slots", cache.length, 0, limits.cache);
  for (const { heads, width } of cache) {
    between("number of a cache's heads", heads, 1, limits.cacheWidth);
    between("width of a cache's head", width, 1, limits.cacheWidth);
  }
}

function unknownRole(role: string): AmalgamError {
  const near = suggest(role, roles);
  return refused(`no graph has the role ${quote(role)}${near === undefined ? "" : `, did you mean ${quote(near)}?`}`);
}

function assertMeasure({ measure, model }: EvaluateRequest, graphs: ReadonlySet<string>): void {
  if (measure.case === "generation") {
    const { maxNewTokens, stop } = measure.value;
    between("number of new tokens", maxNewTokens, 1, limits.newTokens);
    between("number of stop tokens", stop.length, 0, limits.stop);
    if (graphs.has("step") && model?.cache.length === 0) throw refused('the graph "step" has no cache slots');
  }
  const missing = wantedGraphs(measure, graphs).find((role) => !graphs.has(role));
  if (missing === undefined) return;
  throw refused(`a measure of ${quote(measure.case ?? "")} wants the graph ${quote(missing)}`);
}

/** The roles of the graphs that a measure cannot do without, given those that there are. */
function wantedGraphs(measure: EvaluateRequest["measure"], graphs: ReadonlySet<string>): readonly string[] {
  if (measure.case === "vectors") return [measure.value.graph];
  if (measure.case === "likelihood") return ["body"];
  if (measure.case !== "generation") throw refused("it asks for no measure that this agent knows");
  if (measure.value.decoderStart !== undefined) return ["encoder", "step", "head"];
  return graphs.has("step") ? ["step", "head"] : ["body"];
}

function assertBatch({ batch, inputs, rows, targets }: EvaluationBatch, isLikelihood: boolean): void {
  const where = `batch ${batch}`;
  between(`number of inputs of ${where}`, inputs.length, 1, limits.inputs);
  assertDistinct(
    `input of ${where}`,
    inputs.map(({ name }) => name),
  );
  const examples = inputs[0]?.shape[0] ?? 0;
  between(`number of examples of ${where}`, examples, 1, limits.examples);
  for (const input of inputs) assertInput(input, examples, where);
  if (rows.length !== targets.length) throw refused(`${where} has ${rows.length} rows and ${targets.length} targets`);
  if (isLikelihood) between(`number of targets of ${where}`, targets.length, 0, limits.targets);
}

function assertInput(input: InputTensor, examples: number, where: string): void {
  const { name, dtype, shape, data, scale, shift } = input;
  const refuse = (problem: string): AmalgamError => refused(`input ${quote(name)} of ${where} ${problem}`);
  between(`length of the name of an input of ${where}`, name.length, 1, limits.name);
  const size = Object.hasOwn(elementBytes, dtype) ? elementBytes[dtype] : undefined;
  if (size === undefined) throw refuse(`has the dtype ${quote(dtype)}, not F32, I64, I32 or U8`);
  if (shape.length === 0 || shape.length > limits.rank) throw refuse(`has ${shape.length} dimensions`);
  if (shape[0] !== examples) throw refuse(`has ${shape[0]} examples, the first input ${examples}`);
  const elements = elementsOf(shape);
  if (elements > limits.elements) throw refuse(`has ${elements} elements, the limit is ${limits.elements}`);
  if (elements * size !== data.length) {
    throw refuse(`is [${shape.join(", ")}] of ${dtype}, ${elements * size} bytes, and has ${data.length}`);
  }
  if (scale.length === 0 && shift.length === 0) return;
  if (dtype !== "U8") throw refuse(`has a scale and is ${dtype}, not U8`);
  if (scale.length !== shape[1] || shift.length !== shape[1]) {
    throw refuse(`has ${scale.length} scales and ${shift.length} shifts for ${shape[1] ?? 0} channels`);
  }
  if (![...scale, ...shift].every(Number.isFinite)) throw refuse("has a scale or shift that is not finite");
}

function assertDistinct(what: string, names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw refused(`it has the ${what} ${quote(name)} twice`);
    seen.add(name);
  }
}

function between(what: string, value: number, least: number, most: number): void {
  if (value < least || value > most) throw refused(`a ${what} of ${value} is not between ${least} and ${most}`);
}

function refused(reason: string): AmalgamError {
  return new AmalgamError("usage", `Cannot run an evaluation: ${reason}`);
}
