import { Tensor } from "onnxruntime-node";
import { AmalgamError } from "../../../../shared/errors.js";
import type {
  CacheSlot,
  EvaluationBatch,
  Generation,
  InputTensor,
} from "../../../../shared/gen/amalgam/v1/agent_pb.js";
import { quoteList } from "../../../../shared/quote.js";
import { type Feeds, graphInputs, wholeRows, wholeTensor } from "../graph-inputs.js";
import { floats, run } from "../run.js";
import type { LoadedGraph } from "../session-store.js";
import type { Answer } from "./answer.js";
import { lastRows, predictRows } from "./body-rows.js";
import { predict } from "./head.js";

/** The graphs that continue a text: `step` and `head`, before them `encoder` (T5), or a `body` alone. */
export interface Generator {
  readonly graphs: ReadonlyMap<string, LoadedGraph>;
  readonly cache: readonly CacheSlot[];
  readonly settings: Generation;
  readonly signal: AbortSignal;
}

/** A way to get from tokens, [batch, time] that are new, to the most likely next token of each example. */
type Next = (tokens: readonly (readonly number[])[]) => Promise<Float64Array>;

/**
 * Continues every example by its most likely tokens, until a stop token or the limit. Examples that have stopped go on
 * with padding until all have: that changes nothing for the others.
 */
export async function generate(generator: Generator, batch: EvaluationBatch): Promise<Answer> {
  const { settings, signal } = generator;
  const stops = new Set(settings.stop);
  const { first, next } = await begin(generator, batch);
  const generated = first.map((): number[] => []);
  const isOver = first.map(() => false);
  let tokens = first;
  for (let count = 0; count < settings.maxNewTokens; count++) {
    const best = await next(tokens);
    signal.throwIfAborted();
    for (const [example, token] of best.entries()) {
      isOver[example] ||= stops.has(token);
      if (!isOver[example]) generated[example]?.push(token);
    }
    if (isOver.every(Boolean)) break;
    tokens = Array.from(best, (token) => [token]);
  }
  return { generated: generated.map((each) => ({ tokens: each })) };
}

interface Beginning {
  /** By example: what the first call of `next` is given. */
  readonly first: readonly (readonly number[])[];
  readonly next: Next;
}

async function begin(generator: Generator, batch: EvaluationBatch): Promise<Beginning> {
  const { graphs, cache, settings } = generator;
  const [step, head, encoder, body] = ["step", "head", "encoder", "body"].map((role) => graphs.get(role));
  const ids = find("input_ids", batch);
  const mask = wholeRows(batch.inputs.find(({ name }) => name === "attention_mask") ?? ones(ids));
  if (step === undefined || head === undefined) {
    if (body === undefined) throw new AmalgamError("usage", "Cannot generate: there is neither a step nor a body");
    assertPaddedLeft(mask);
    return { first: wholeRows(ids), next: again({ body, head }, batch.inputs, mask) };
  }
  if (encoder === undefined) {
    assertPaddedLeft(mask);
    return { first: wholeRows(ids), next: stepwise({ step, head, cache, mask, fixed: {} }) };
  }
  const { decoderStart } = settings;
  if (decoderStart === undefined) throw new AmalgamError("usage", "Cannot generate: no token is said to begin with");
  const outputs = encoder.session.outputNames;
  const found = await run(encoder, graphInputs(encoder.session, batch.inputs), outputs);
  const fixed = Object.fromEntries(outputs.map((name) => [name, found(name)]));
  return {
    first: mask.map(() => [decoderStart]),
    next: stepwise({ step, head, cache, mask: mask.map(() => [1]), fixed }),
  };
}

interface Stepwise {
  readonly step: LoadedGraph;
  readonly head: LoadedGraph;
  readonly cache: readonly CacheSlot[];
  /** By example: which of the first tokens are tokens. */
  readonly mask: readonly (readonly number[])[];
  /** Inputs that are the same at every step. */
  readonly fixed: Feeds;
}

/** Keeps what attention needs of earlier tokens, so that each step computes new ones only. */
function stepwise({ step, head, cache, mask: firstMask, fixed }: Stepwise): Next {
  const examples = firstMask.length;
  const past = new Map<number, Tensor>(
    cache.map(({ heads, width }, i) => [i, new Tensor("float32", new Float32Array(0), [examples, heads, 0, width])]),
  );
  const presents = [...past.keys()].map((i) => `present/${i}`);
  let mask: readonly (readonly number[])[] = [];
  return async (tokens) => {
    const time = tokens[0]?.length ?? 0;
    mask = mask.length === 0 ? firstMask : mask.map((row) => [...row, ...Array<number>(time).fill(1)]);
    const feeds: Record<string, Tensor> = {
      ...fixed,
      input_ids: wholeTensor(tokens.flat(), [examples, time]),
      attention_mask: wholeTensor(mask.flat(), [examples, mask[0]?.length ?? 0]),
    };
    for (const [i, tensor] of past) feeds[`past/${i}`] = tensor;
    assertTaken(step, feeds);
    const found = await run(step, feeds, ["hidden", ...presents]);
    for (const i of past.keys()) past.set(i, found(`present/${i}`));
    const hidden = found("hidden");
    return (await predict(head, lastHidden(hidden, examples, time), Array<number>(examples).fill(0))).best;
  };
}

function lastHidden(hidden: Tensor, examples: number, time: number) {
  const values = floats("hidden", hidden);
  const width = values.length / Math.max(1, examples * time);
  const last = new Float32Array(examples * width);
  for (const [i, row] of lastRows(examples, time).entries()) {
    last.set(values.subarray(row * width, (row + 1) * width), i * width);
  }
  return { values: last, width };
}

/** Inputs that have a number per token, and so cannot stay as the batch has them; the graph's own are derived. */
const growing: ReadonlySet<string> = new Set(["input_ids", "attention_mask", "position_ids", "token_type_ids"]);

/** For graphs without a step: runs the whole text again for every token. */
function again(
  model: { readonly body: LoadedGraph; readonly head: LoadedGraph | undefined },
  inputs: readonly InputTensor[],
  firstMask: readonly (readonly number[])[],
): Next {
  let [ids, mask]: (readonly (readonly number[])[])[] = [[], firstMask];
  return async (tokens) => {
    const isFirst = ids?.length === 0;
    ids = isFirst ? tokens : ids?.map((row, i) => [...row, ...(tokens[i] ?? [])]);
    mask = isFirst ? mask : mask?.map((row) => [...row, 1]);
    const grown = [wholeInput("input_ids", ids ?? []), wholeInput("attention_mask", mask ?? [])];
    const others = inputs.filter(({ name }) => !growing.has(name));
    const feeds = graphInputs(model.body.session, [...grown, ...others]);
    return (await predictRows(model, feeds, lastRows, Array<number>(tokens.length).fill(0))).best;
  };
}

function wholeInput(name: string, rows: readonly (readonly number[])[]): InputTensor {
  const shape = [rows.length, rows[0]?.length ?? 0];
  const data = new Uint8Array(BigInt64Array.from(rows.flat(), BigInt).buffer);
  return { $typeName: "amalgam.v1.InputTensor", name, dtype: "I64", shape, data, scale: [], shift: [] };
}

function ones(like: InputTensor): InputTensor {
  return wholeInput(
    "attention_mask",
    wholeRows(like).map((row) => row.map(() => 1)),
  );
}

function find(name: string, { batch, inputs }: EvaluationBatch): InputTensor {
  const input = inputs.find((each) => each.name === name);
  if (input !== undefined && input.shape.length === 2 && input.dtype !== "F32") return input;
  throw new AmalgamError("usage", `Cannot generate: batch ${batch} has no "${name}" of [batch, time] whole numbers`);
}

function assertPaddedLeft(mask: readonly (readonly number[])[]): void {
  if (mask.every((row) => row.at(-1) === 1)) return;
  throw new AmalgamError("usage", "Cannot generate: the inputs are not padded on the left");
}

/** Names both sides: ONNX Runtime tells of one input that is missing. */
function assertTaken({ session, checkpoint }: LoadedGraph, feeds: Feeds): void {
  const missing = session.inputNames.filter((name) => !Object.hasOwn(feeds, name));
  const unknown = Object.keys(feeds).filter((name) => !session.inputNames.includes(name));
  if (missing.length + unknown.length === 0) return;
  const problem = `the step wants ${quoteList(missing)} that nobody has, and does not take ${quoteList(unknown)}`;
  throw new AmalgamError("checkpoint_mismatch", `Cannot generate: ${problem}`, { details: { checkpoint } });
}
