import { fork } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { Client, credentials } from "@grpc/grpc-js";
import { chunkBytes } from "../shared/bytes.js";
import {
  AgentService,
  type MergeRequest,
  MergeRequestSchema,
  MergeResponseSchema,
} from "../shared/gen/amalgam/v1/agent_pb.js";
import { createClient } from "../shared/rpc/client.js";
import { decoder, encoder } from "../shared/rpc/service-definition.js";
import { alternate, type Benchmark, median, timed } from "./harness.js";
import { startStreamingAgent } from "./streaming-agent.js";
import { digits, ratio, type Table, target } from "./table.js";
import type { TransportPorts } from "./transport-server.js";

const host = "127.0.0.1";

/** One stream of chunks from another process, by whatever moves it. */
export const transport: Benchmark = {
  name: "transport",
  async run(context) {
    const chunks = Math.max(1, Math.round(context.modelBytes / chunkBytes));
    const server = fork(fileURLToPath(new URL("./transport-server.js", import.meta.url)), { stdio: "inherit" });
    try {
      const [ports] = (await once(server, "message")) as [TransportPorts];
      await using agent = await startStreamingAgent(context);
      const { streamed, ...runs } = await alternate(context, {
        tcp: () => timed(() => readSocket(ports.tcp, chunks)),
        onread: () => timed(() => readSocketInPlace(ports.tcp, chunks)),
        plain: () => timed(() => readPlainly(ports.plain, chunks)),
        amalgam: () => timed(() => readAsCoordinator(ports.amalgam, chunks)),
        streamed: () => timed(() => agent.stream()),
      });
      const rates = {
        ...byName(runs, (seconds) => (chunks * chunkBytes) / median(seconds)),
        streamed: agent.bytes / median(streamed),
      };
      return [tableOf(rates, chunks)];
    } finally {
      server.disconnect();
    }
  },
};

type Rates = Readonly<Record<"tcp" | "onread" | "plain" | "amalgam" | "streamed", number>>;

function tableOf(rates: Rates, chunks: number): Table {
  const row = (name: string, rate: number, ...targets: string[]): string[] => [
    name,
    `${(rate / 1e6).toFixed(0)} MB/s`,
    ratio(rate / rates.tcp),
    ratio(rate / rates.plain),
    targets.join(", "),
  ];
  const { tcp, onread, plain, amalgam, streamed } = rates;
  return {
    title: "Transport",
    note:
      `${digits((chunks * chunkBytes) / 1e9)} GB in chunks of 1 MiB, from another process over loopback, one stream. ` +
      "The last row is a real agent that copies tensors from files: it reads them and takes two CRC-32 of every byte, " +
      "the coordinator's side checks everything that arrives, and only the disk is left out.",
    columns: ["", "rate", "of the socket", "of plain grpc-js", "target"],
    rows: [
      row("socket (node:net)", tcp),
      row("socket, into one buffer (onread)", onread),
      row("grpc-js, plain", plain),
      row(
        "Amalgam's Merge stream",
        amalgam,
        target(amalgam / plain, 1.2, "× plain", "at least"),
        target(amalgam / tcp, 0.25, "× socket", "at least"),
      ),
      row("a real agent, streaming", streamed),
    ],
  };
}

async function readSocket(port: number, chunks: number): Promise<void> {
  let received = 0;
  const socket = connect({ host, port });
  socket.on("data", (data) => {
    received += data.length;
  });
  socket.write(wanted(chunks));
  await once(socket, "close");
  assertAll(received, chunks);
}

async function readSocketInPlace(port: number, chunks: number): Promise<void> {
  let received = 0;
  const callback = (bytes: number): boolean => {
    received += bytes;
    return true;
  };
  const socket = connect({ host, port, onread: { buffer: Buffer.alloc(chunkBytes), callback } });
  socket.write(wanted(chunks));
  await once(socket, "close");
  assertAll(received, chunks);
}

async function readPlainly(port: number, chunks: number): Promise<void> {
  const { merge } = AgentService.method;
  const client = new Client(`${host}:${port}`, credentials.createInsecure());
  let received = 0;
  const path = `/${AgentService.typeName}/${merge.name}`;
  const [encode, decode] = [encoder(MergeRequestSchema), decoder(MergeResponseSchema)];
  const call = client.makeServerStreamRequest(path, encode, decode, { unit: chunks } as MergeRequest);
  call.on("data", ({ event }: ReturnType<typeof decode>) => {
    if (event.case === "chunk") received += event.value.data.length;
  });
  await once(call, "end");
  client.close();
  assertAll(received, chunks);
}

async function readAsCoordinator(port: number, chunks: number): Promise<void> {
  const client = createClient(AgentService, `${host}:${port}`);
  let received = 0;
  for await (const { event } of client.merge({ unit: chunks })) {
    if (event.case === "chunk") received += event.value.data.length;
  }
  client.close();
  assertAll(received, chunks);
}

function wanted(chunks: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(chunks).buffer);
}

function assertAll(received: number, chunks: number): void {
  if (received !== chunks * chunkBytes) throw new Error(`Received ${received} bytes of ${chunks * chunkBytes}`);
}

function byName<Name extends string, A, B>(values: Readonly<Record<Name, A>>, of: (value: A) => B): Record<Name, B> {
  return Object.fromEntries(Object.entries<A>(values).map(([name, value]) => [name, of(value)])) as Record<Name, B>;
}
