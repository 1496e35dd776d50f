import type { MessageInitShape } from "@bufbuild/protobuf";
import type { handleServerStreamingCall, handleUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import { AmalgamError } from "../shared/errors.js";
import type {
  DescribeRequest,
  DescribeResponseSchema,
  EvaluateRequest,
  FactorizeRequest,
  KeepRequest,
  KeepResponseSchema,
  ListRequest,
  ListResponseSchema,
  LocateRequest,
  LocateResponseSchema,
  MergeRequest,
  ReadRequest,
  ReadResponseSchema,
  TryRequest,
} from "../shared/gen/amalgam/v1/agent_pb.js";
import type { MergeResponseInit } from "../shared/rpc/chunk-encoder.js";
import { toStatus } from "../shared/rpc/status.js";
import { assertRequest } from "./check-request.js";
import { assertEvaluateRequest } from "./evaluate/check-request.js";
import type { Evaluations } from "./evaluate/evaluations.js";
import { assertFactorizeRequest } from "./factorize/check-request.js";
import type { Fences, Order } from "./fences.js";
import { listFolder } from "./files/list.js";
import { locateFiles } from "./files/locate.js";
import { RangeReader } from "./files/read-range.js";
import type { WorkCall, WorkDescription, WorkObserver } from "./operate/work-observer.js";
import type { WorkerPool } from "./pool.js";
import {
  type EvaluateResponseInit,
  type FactorizeResponseInit,
  type ResponseStream,
  Responses,
  type TryResponseInit,
  type WorkEvent,
} from "./responses.js";
import type { Confinement } from "./roots.js";
import { assertKeepRequest, assertTryRequest } from "./trials/check-request.js";
import type { Trials } from "./trials/trials.js";

/** A unit that waits for a worker says so this often, lest the coordinator take it for stalled. */
const waitingProgressMs = 10_000;

export interface AgentServiceOptions {
  readonly pool: WorkerPool;
  /** Unset: it does not evaluate. */
  readonly evaluations?: Evaluations | undefined;
  /** Unset: it runs no trials. */
  readonly trials?: Trials | undefined;
  readonly describe: () => MessageInitShape<typeof DescribeResponseSchema>;
  /** Why new units are refused, once they are. */
  readonly refusal: () => AmalgamError | undefined;
  /** Which leaders may give orders. */
  readonly fences: Fences;
  readonly confinement: Confinement;
  /** Follows work: metrics, traces. */
  readonly observer?: WorkObserver | undefined;
}

/** What grpc-js calls: the face of the agent. It translates, hands on, and translates back. */
export interface AgentServiceHandlers {
  readonly describe: handleUnaryCall<DescribeRequest, MessageInitShape<typeof DescribeResponseSchema>>;
  readonly merge: handleServerStreamingCall<MergeRequest, MergeResponseInit>;
  readonly factorize: handleServerStreamingCall<FactorizeRequest, FactorizeResponseInit>;
  readonly evaluate: handleServerStreamingCall<EvaluateRequest, EvaluateResponseInit>;
  readonly try: handleServerStreamingCall<TryRequest, TryResponseInit>;
  readonly keep: handleUnaryCall<KeepRequest, MessageInitShape<typeof KeepResponseSchema>>;
  readonly locate: handleUnaryCall<LocateRequest, MessageInitShape<typeof LocateResponseSchema>>;
  readonly list: handleUnaryCall<ListRequest, MessageInitShape<typeof ListResponseSchema>>;
  readonly read: handleServerStreamingCall<ReadRequest, MessageInitShape<typeof ReadResponseSchema>>;
}

export function createAgentService(options: AgentServiceOptions): AgentServiceHandlers {
  const { pool, evaluations, trials, describe, refusal, fences, confinement, observer } = options;
  const ranges = new RangeReader(confinement, pool.ioLimit);
  return {
    describe: (call, callback) => answer(callback, call.request.leadership, async () => describe()),
    merge: (call) =>
      work("merge", call, call.request, (listener, signal) => {
        assertRequest(call.request);
        return pool.run(call.request, listener, signal);
      }),
    factorize: (call) =>
      work("factorize", call, call.request.leadership, (listener, signal) => {
        assertFactorizeRequest(call.request);
        return pool.factorize(call.request, listener, signal);
      }),
    evaluate: (call) =>
      work("evaluate", call, call.request.leadership, (listener, signal) => {
        if (evaluations === undefined)
          throw new AmalgamError("usage", 'The agent does not evaluate: it was started with "--no-eval"');
        assertEvaluateRequest(call.request);
        return evaluations.run(call.request, listener, signal);
      }),
    try: (call) =>
      work("try", call, call.request.leadership, (listener, signal) => {
        if (trials === undefined) throw noTrials();
        assertTryRequest(call.request);
        return trials.run(call.request, listener, signal);
      }),
    keep: (call, callback) =>
      answer(callback, call.request.leadership, async () => {
        if (trials === undefined) throw noTrials();
        assertKeepRequest(call.request);
        trials.keep(call.request);
        return {};
      }),
    locate: (call, callback) => answer(callback, call.request.leadership, () => locateFiles(call.request, confinement)),
    list: (call, callback) => answer(callback, undefined, () => listFolder(call.request.path, confinement)),
    read: (call) =>
      stream(call, call.request.leadership, (signal) => {
        return ranges.read(call.request, { signal, send: (response) => write(call, response, signal) });
      }),
  };

  /** Answers a call of one message. */
  function answer<T>(callback: sendUnaryData<T>, order: Order | undefined, act: () => Promise<T>): void {
    const run = async (): Promise<T> => {
      using admission = fences.admit(order);
      const result = await act();
      admission.signal.throwIfAborted();
      return result;
    };
    run().then(
      (result) => callback(null, result),
      (error: unknown) => callback(toStatus(error)),
    );
  }

  /** Runs a unit whose events go out on a call, until it is done, the call is canceled or its leader is fenced off. */
  function work(
    name: WorkCall,
    call: ResponseStream,
    order: Order | undefined,
    start: (listener: WorkListener, signal: AbortSignal) => Promise<void>,
  ): void {
    const responses = new Responses(call);
    const refuse = refusal();
    const watch = observer?.begin(describeWork(name, call));
    serve(call, order, run).then(
      () => {
        watch?.ended();
        responses.end();
      },
      (error: unknown) => {
        watch?.ended(AmalgamError.from(error));
        responses.fail(error);
      },
    );

    async function run(signal: AbortSignal): Promise<void> {
      if (refuse !== undefined) throw refuse;
      // The coordinator knows from here on that the agent has the unit.
      responses.progress(0, 0, 0);
      const waiting = setInterval(() => responses.progress(0, 0, 0), waitingProgressMs);
      try {
        const onStart = (): void => {
          clearInterval(waiting);
          watch?.started();
        };
        const onEvent: WorkListener["onEvent"] = (event, taken) => {
          watch?.observe(event);
          responses.send(event, taken);
        };
        await start({ onStart, onEvent }, signal);
      } finally {
        clearInterval(waiting);
      }
    }
  }

  /** The same for a call that writes its responses itself. */
  function stream(call: Stream, order: Order | undefined, run: (signal: AbortSignal) => Promise<void>): void {
    // Without a listener a write to a call that broke would end the agent.
    call.on("error", () => undefined);
    serve(call, order, run).then(
      () => call.end(),
      (error: unknown) => call.emit("error", toStatus(error)),
    );
  }

  async function serve(
    call: { on(event: "cancelled", listener: () => void): unknown },
    order: Order | undefined,
    run: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const canceled = new AbortController();
    call.on("cancelled", () => canceled.abort(new AmalgamError("canceled", "Canceled by the coordinator")));
    using admission = fences.admit(order);
    await run(AbortSignal.any([canceled.signal, admission.signal]));
  }
}

function describeWork(name: WorkCall, { request, metadata }: ResponseStream): WorkDescription {
  const traceparent = metadata.get("traceparent")[0];
  return {
    call: name,
    ...("job" in request && { job: request.job }),
    ...("unit" in request && { unit: request.unit }),
    ...("epoch" in request && { attempt: request.epoch }),
    ...(typeof traceparent === "string" && { traceparent }),
  };
}

function noTrials(): AmalgamError {
  const message =
    'The agent runs no trials: it was started with "--no-eval" or "--trial-memory 0", or has no folder in memory with room for them ("--trial-folder")';
  return new AmalgamError("usage", message);
}

interface WorkListener {
  readonly onStart: () => void;
  readonly onEvent: (event: WorkEvent, taken: () => void) => void;
}

type Stream = Parameters<AgentServiceHandlers["read"]>[0];

/** Resolves when the response has left this process, or nobody waits for it any more. */
function write(
  call: Stream,
  response: MessageInitShape<typeof ReadResponseSchema>,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      signal.removeEventListener("abort", done);
      resolve();
    };
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", done, { once: true });
    call.write(response, done);
  });
}
