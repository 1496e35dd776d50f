import type { DescMessage, DescMethod, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { GenService, GenServiceMethods } from "@bufbuild/protobuf/codegenv2";
import { type ClientReadableStream, InterceptingCall, type Interceptor, Metadata } from "@grpc/grpc-js";
import { AmalgamError } from "../errors.js";
import { type Connection, openConnection } from "./connection.js";
import { loopback, type Security } from "./security.js";
import { decoder, encoder } from "./service-definition.js";
import { fromStatus } from "./status.js";
import type { Expectation } from "./tls/server-check.js";

/** Messages of a stream that are decoded ahead of the reader. */
const readAhead = 2;

export interface CallOptions {
  /** Ends the call; the work at the other side stops. */
  readonly signal?: AbortSignal;
  /** For the whole call. Default: none. */
  readonly timeoutMs?: number;
  /** W3C trace context, which goes along as metadata. */
  readonly traceparent?: string | undefined;
}

type Call<Method> = Method extends {
  methodKind: "unary";
  input: infer I extends DescMessage;
  output: infer O extends DescMessage;
}
  ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
  : Method extends {
        methodKind: "server_streaming";
        input: infer I extends DescMessage;
        output: infer O extends DescMessage;
      }
    ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncGenerator<MessageShape<O>, void, void>
    : never;

/** One function per method of the service, and `close`. Every failure is an {@link AmalgamError}. */
export type RpcClient<Methods extends GenServiceMethods> = { readonly [Name in keyof Methods]: Call<Methods[Name]> } & {
  /** Ends the connection and with it every call. */
  readonly close: () => void;
};

/** The client of a generated service: `ClientOf<typeof AgentService>`. */
export type ClientOf<Service> = Service extends GenService<infer Methods> ? RpcClient<Methods> : never;

/**
 * A client of `service` at `"host:port"`, which without TLS must be a loopback address. It connects on the first call, and again
 * whenever a call finds the connection gone; it never repeats a call. Calls end when the server's certificate is revoked.
 *
 * A server stream is an async generator: the other side is read only as fast as the generator is, and leaving the loop
 * cancels the call.
 */
export function createClient<Methods extends GenServiceMethods>(
  service: GenService<Methods>,
  address: string,
  security: Security = loopback,
  expected: Partial<Expectation> = {},
): RpcClient<Methods> {
  const connection = openConnection(address, security, expected, wantsTls);
  const calls: Record<string, unknown> = { close: connection.close };
  for (const method of service.methods) {
    if (method.methodKind === "unary") calls[method.localName] = unary(connection, method);
    if (method.methodKind === "server_streaming") calls[method.localName] = serverStreaming(connection, method);
  }
  // Built from the same descriptor that the type is computed from.
  return calls as RpcClient<Methods>;
}

function unary(connection: Connection, method: DescMethod) {
  const path = `/${method.parent.typeName}/${method.name}`;
  const [encode, decode] = [encoder(method.input), decoder(method.output)];
  return (request: MessageInitShape<DescMessage>, options: CallOptions = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const ending = new Ending(connection, options);
      if (ending.cause !== undefined) return reject(aborted(ending.cause));
      const cancel = (): void => call.cancel();
      const metadata = metadataOf(options);
      const call = connection.client.makeUnaryRequest(
        path,
        encode,
        decode,
        request,
        metadata,
        grpcOptions(options),
        (error, response) => {
          ending.off(cancel);
          if (error === null) resolve(response);
          else void failure(error, connection, ending).then(reject);
        },
      );
      ending.on(cancel);
    });
}

function serverStreaming(connection: Connection, method: DescMethod) {
  const path = `/${method.parent.typeName}/${method.name}`;
  const [encode, decode] = [encoder(method.input), decoder(method.output)];
  return async function* (request: MessageInitShape<DescMessage>, options: CallOptions = {}) {
    const ending = new Ending(connection, options);
    if (ending.cause !== undefined) throw aborted(ending.cause);
    const gate = new Gate();
    const metadata = metadataOf(options);
    const call: ClientReadableStream<unknown> = connection.client.makeServerStreamRequest(
      path,
      encode,
      decode,
      request,
      metadata,
      {
        ...grpcOptions(options),
        interceptors: [gate.interceptor],
      },
    );
    gate.stream = call;
    const cancel = (): void => {
      call.cancel();
      gate.open();
    };
    ending.on(cancel);
    try {
      for await (const message of call) {
        if (ending.cause !== undefined) throw aborted(ending.cause);
        gate.letNextThrough();
        yield message;
      }
    } catch (error) {
      throw await failure(error, connection, ending);
    } finally {
      ending.off(cancel);
      // Without effect on a call that has ended. Otherwise the status comes as an error, which nobody reads any more.
      call.on("error", () => undefined);
      cancel();
    }
  };
}

/**
 * grpc-js decodes 16 messages ahead of a stream's reader, whatever their size. This holds back the third, and with it
 * the reading of the connection: HTTP/2 flow control does the rest.
 */
class Gate {
  stream: ClientReadableStream<unknown> | undefined;
  #held: (() => void) | undefined;
  #isOpen = false;

  readonly interceptor: Interceptor = (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start: (metadata, _listener, next) => {
        next(metadata, {
          onReceiveMessage: (message: unknown, deliver: (message: unknown) => void) => {
            if (this.#isOpen || (this.stream?.readableLength ?? 0) < readAhead) deliver(message);
            else this.#held = () => deliver(message);
          },
        });
      },
    });

  letNextThrough(): void {
    const deliver = this.#held;
    this.#held = undefined;
    deliver?.();
  }

  /** For good: the call has been canceled, and its status waits behind the message that is held. */
  open(): void {
    this.#isOpen = true;
    this.letNextThrough();
  }
}

/**
 * What ends a call from this side: the caller, or a revoked certificate. Not `AbortSignal.any()`: the signal of a connection that
 * lasts for days would keep something of every call.
 */
class Ending {
  readonly #signals: readonly AbortSignal[];

  constructor({ revoked }: Connection, { signal }: CallOptions) {
    this.#signals = [signal, revoked].flatMap((one) => one ?? []);
  }

  /** The signal that has ended it; undefined: none has. */
  get cause(): AbortSignal | undefined {
    return this.#signals.find(({ aborted }) => aborted);
  }

  on(listener: () => void): void {
    for (const signal of this.#signals) signal.addEventListener("abort", listener, { once: true });
  }

  off(listener: () => void): void {
    for (const signal of this.#signals) signal.removeEventListener("abort", listener);
  }
}

function metadataOf({ traceparent }: CallOptions): Metadata {
  const metadata = new Metadata();
  if (traceparent !== undefined) metadata.set("traceparent", traceparent);
  return metadata;
}

function grpcOptions(options: CallOptions): { deadline?: number } {
  return options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs };
}

function aborted(signal: AbortSignal): AmalgamError {
  return AmalgamError.from(signal.reason);
}

/** Only our own signal cancels. A call that is cancelled without it was ended by the other side, which is going away. */
async function failure(error: unknown, peer: Connection, { cause }: Ending): Promise<AmalgamError> {
  if (cause !== undefined) return aborted(cause);
  const { address, explain } = peer;
  const converted = fromStatus(error, address);
  if (converted.code === "canceled") {
    return new AmalgamError("agent_lost", `Call to ${address} failed: the other side ended it`, {
      cause: error,
      details: { peer: address },
    });
  }
  return converted.code === "agent_lost" ? await explain(converted) : converted;
}

/** Without TLS: a server that hangs up before a word waits for a handshake. */
async function wantsTls(error: AmalgamError): Promise<AmalgamError> {
  if (!error.message.includes("Failed to connect")) return error;
  const message = `${error.message}; if it takes TLS, give --tls-ca, --tls-cert and --tls-key`;
  return new AmalgamError(error.code, message, { cause: error, details: error.details });
}
