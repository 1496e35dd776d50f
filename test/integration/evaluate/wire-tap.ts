import { Server, ServerCredentials, type ServerWritableStream, type sendUnaryData } from "@grpc/grpc-js";
import { AmalgamError } from "../../../shared/errors.js";
import {
  AgentService,
  type DescribeRequest,
  type EvaluateRequest,
  type EvaluateResponse,
  type LocateRequest,
} from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { serverOptions } from "../../../shared/rpc/channel.js";
import { createClient } from "../../../shared/rpc/client.js";
import { serviceDefinition } from "../../../shared/rpc/service-definition.js";
import { toStatus } from "../../../shared/rpc/status.js";

export interface TappedRequest {
  readonly unit: number;
  readonly epoch: number;
  /** Asked for. */
  readonly batches: readonly number[];
  /** Let through. */
  readonly answered: number[];
}

export interface TapOptions {
  /** Of the n-th request: so many results pass, then it fails. */
  readonly cutAfter?: (request: number) => number | undefined;
  /** What becomes of a response on its way. */
  readonly change?: (response: EvaluateResponse) => EvaluateResponse;
}

/** Stands between a coordinator and a real agent, sees what is asked for, and may meddle with the answers. */
export async function startTap(agent: string, { cutAfter, change = (response) => response }: TapOptions = {}) {
  const client = createClient(AgentService, agent);
  const requests: TappedRequest[] = [];
  const forward = async (call: ServerWritableStream<EvaluateRequest, EvaluateResponse>): Promise<void> => {
    const { unit, epoch, batches } = call.request;
    const tapped: TappedRequest = { unit, epoch, batches: batches.map(({ batch }) => batch), answered: [] };
    const cut = cutAfter?.(requests.length);
    requests.push(tapped);
    const controller = new AbortController();
    call.once("cancelled", () => controller.abort());
    for await (const response of client.evaluate(call.request, { signal: controller.signal })) {
      const { event } = response;
      if (event.case === "result") {
        if (tapped.answered.length === cut) throw new AmalgamError("io_failed", "The line was cut");
        tapped.answered.push(event.value.batch);
      }
      call.write(change(response));
    }
    call.end();
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
    evaluate: (call: ServerWritableStream<EvaluateRequest, EvaluateResponse>) => {
      forward(call).catch((error: unknown) => call.emit("error", toStatus(error)));
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    address: `127.0.0.1:${port}`,
    requests: requests as readonly TappedRequest[],
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
      client.close();
    },
  };
}
