import { Server, ServerCredentials, type ServerWritableStream, type sendUnaryData } from "@grpc/grpc-js";
import { AmalgamError } from "../../../shared/errors.js";
import {
  AgentService,
  type DescribeRequest,
  type KeepRequest,
  type LocateRequest,
  type MergeRequest,
  type TryRequest,
  type TryResponse,
} from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { serverOptions } from "../../../shared/rpc/channel.js";
import { type CallOptions, createClient } from "../../../shared/rpc/client.js";
import { serviceDefinition } from "../../../shared/rpc/service-definition.js";
import { toStatus } from "../../../shared/rpc/status.js";

export interface TappedTrial {
  readonly request: TryRequest;
  /** Pieces that the agent gathered statistics for. */
  gathered: number;
  results: number;
}

export interface TapOptions {
  /** Called before the n-th trial is passed on; what it throws is the agent's answer. */
  readonly before?: (trial: number, request: TryRequest) => Promise<void> | void;
  /** What becomes of a response on its way. */
  readonly change?: (response: TryResponse) => TryResponse;
  /** Blobs of the n-th call are not passed on. */
  readonly losesBlobs?: (call: number) => boolean;
}

type Ask<Request, Response> = (request: Request, options: CallOptions) => AsyncIterable<Response>;

/** Stands between a runner of trials and a real agent, sees what is asked for, and may meddle with it. */
export async function startTap(agent: string, { before, change = (one) => one, losesBlobs }: TapOptions = {}) {
  const client = createClient(AgentService, agent);
  const trials: TappedTrial[] = [];
  const counts = { keeps: 0, merges: 0 };
  const stream =
    <Request, Response>(ask: Ask<Request, Response>) =>
    (call: ServerWritableStream<Request, Response>): void => {
      const controller = new AbortController();
      call.once("cancelled", () => controller.abort());
      const forward = async (): Promise<void> => {
        for await (const response of ask(call.request, { signal: controller.signal })) call.write(response);
        call.end();
      };
      forward().catch((error: unknown) => call.emit("error", toStatus(AmalgamError.from(error))));
    };
  const unary =
    <Request>(ask: (request: Request) => Promise<unknown>) =>
    ({ request }: { request: Request }, callback: sendUnaryData<unknown>): void => {
      ask(request).then(
        (response) => callback(null, response),
        (error: unknown) => callback(toStatus(error)),
      );
    };
  const server = new Server(serverOptions);
  server.addService(serviceDefinition(AgentService), {
    describe: unary((request: DescribeRequest) => client.describe(request)),
    locate: unary((request: LocateRequest) => client.locate(request)),
    keep: unary(async (request: KeepRequest) => {
      counts.keeps += 1;
      return losesBlobs?.(counts.keeps) === true ? {} : client.keep(request);
    }),
    merge: stream((request: MergeRequest, options) => {
      counts.merges += 1;
      return client.merge(request, options);
    }),
    try: stream(async function* (request: TryRequest, options) {
      const tapped = { request, gathered: 0, results: 0 };
      trials.push(tapped);
      await before?.(trials.length, request);
      for await (const response of client.try(request, options)) {
        if (response.event.case === "receipt" && response.event.value.statistics.length > 0) tapped.gathered += 1;
        if (response.event.case === "result") tapped.results += 1;
        yield change(response);
      }
    }),
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    address: `127.0.0.1:${port}`,
    trials: trials as readonly TappedTrial[],
    counts: counts as Readonly<typeof counts>,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
      client.close();
    },
  };
}
