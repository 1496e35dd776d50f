import {
  create,
  type DescMessage,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";

/** Turns one message into what grpc-js frames and sends. */
export type Serialize = (message: unknown) => Buffer;

/**
 * A generated service as grpc-js wants it, so that no second generator is needed. `responses` replaces the encoder of a
 * method's responses, by the method's local name.
 */
export function serviceDefinition(
  service: DescService,
  responses: Readonly<Record<string, Serialize>> = {},
): ServiceDefinition {
  const definition: Record<string, MethodDefinition<unknown, unknown>> = {};
  for (const method of service.methods) {
    definition[method.localName] = {
      path: `/${service.typeName}/${method.name}`,
      requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
      responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
      requestSerialize: encoder(method.input) as Serialize,
      requestDeserialize: decoder(method.input),
      responseSerialize: responses[method.localName] ?? (encoder(method.output) as Serialize),
      responseDeserialize: decoder(method.output),
    };
  }
  return definition;
}

/** Takes a message or what would make one. toBinary() needs the former and grpc-js hides the error when it is not. */
export function encoder<Desc extends DescMessage>(schema: Desc): (message: MessageInitShape<Desc>) => Buffer {
  return (message) => viewOf(toBinary(schema, create(schema, message)));
}

/** `bytes` fields of what it returns are views of the frame they came in: copy before keeping them for long. */
export function decoder<Desc extends DescMessage>(schema: Desc): (bytes: Uint8Array) => MessageShape<Desc> {
  return (bytes) => fromBinary(schema, bytes);
}

/** grpc-js calls Buffer's methods; this is the same memory, not a copy. */
function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
