import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { crc32 } from "node:zlib";
import { Server, ServerCredentials, type ServerWritableStream, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { maxChunksInFlight } from "../node-agent/worker-protocol.js";
import { chunkBytes } from "../shared/bytes.js";
import { AgentService, type MergeRequest } from "../shared/gen/amalgam/v1/agent_pb.js";
import { serverOptions } from "../shared/rpc/channel.js";
import { encodeMergeResponse, type MergeResponseInit } from "../shared/rpc/chunk-encoder.js";
import { type Serialize, serviceDefinition } from "../shared/rpc/service-definition.js";

// The sending side of the transport benchmark, a process of its own: the same chunks over a plain socket, over grpc-js
// as it comes, and over grpc-js as Amalgam uses it. Ends with its parent.

/** Where each of them listens, on loopback. */
export interface TransportPorts {
  readonly tcp: number;
  readonly plain: number;
  readonly amalgam: number;
}

type Call = ServerWritableStream<MergeRequest, MergeResponseInit>;

const host = "127.0.0.1";
const data = Buffer.alloc(chunkBytes).map((_, i) => (i * 2_654_435_761) >>> 24);
const checksum = crc32(data);

function chunk(index: number): MergeResponseInit {
  return { event: { case: "chunk", value: { piece: 0, offset: BigInt(index * chunkBytes), data, crc32: checksum } } };
}

/** Waits for room whenever the stream says that it has none, as the documentation of grpc-js has it. */
async function sendPlainly(call: Call): Promise<void> {
  for (let index = 0; index < call.request.unit; index += 1) if (!call.write(chunk(index))) await once(call, "drain");
  call.end();
}

/** As an agent does: a few chunks at once, each counted until it has left. */
async function sendAsAgent(call: Call): Promise<void> {
  const inFlight: Promise<void>[] = [];
  for (let index = 0; index < call.request.unit; index += 1) {
    inFlight.push(new Promise((taken) => call.write(chunk(index), () => taken())));
    if (inFlight.length === maxChunksInFlight) await inFlight.shift();
  }
  call.end();
}

async function listen(server: Server, send: (call: Call) => Promise<void>, merge?: Serialize): Promise<number> {
  const service: UntypedServiceImplementation = {
    describe: () => undefined,
    merge: (call: Call) => void send(call),
  };
  server.addService(serviceDefinition(AgentService, merge === undefined ? {} : { merge }), service);
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:0`, ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
}

/** The first four bytes that a client sends say how many chunks it wants. */
async function listenTcp(): Promise<number> {
  const server = createServer((socket) => {
    socket.once("data", async (request) => {
      const chunks = request.readUInt32LE();
      for (let sent = 0; sent < chunks; sent += 1) if (!socket.write(data)) await once(socket, "drain");
      socket.end();
    });
  });
  server.listen(0, host);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

if (process.send !== undefined) {
  process.on("disconnect", () => process.exit(0));
  process.send({
    tcp: await listenTcp(),
    plain: await listen(new Server(), sendPlainly),
    amalgam: await listen(new Server(serverOptions), sendAsAgent, encodeMergeResponse as Serialize),
  } satisfies TransportPorts);
}
