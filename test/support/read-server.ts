import { readFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import { Server, ServerCredentials, type ServerWritableStream } from "@grpc/grpc-js";
import { sleep, systemClock } from "../../shared/clock.js";
import { AgentService, type ReadRequest } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { serverOptions } from "../../shared/rpc/channel.js";
import { serviceDefinition } from "../../shared/rpc/service-definition.js";
import { toStatus } from "../../shared/rpc/status.js";

export interface ReadServerOptions {
  /** Read when the server starts, and served as they were then. @default any file, read when it is asked for */
  readonly files?: readonly string[];
  /** The call ends with an error after so many chunks. */
  readonly endAfterChunks?: number;
  readonly wrongSums?: boolean;
  readonly hang?: boolean;
  /** So many empty responses first, so many milliseconds apart. */
  readonly notices?: { readonly count: number; readonly everyMs: number };
}

/** A peer that serves ranges of files as a test wants it to. */
export async function startReadServer(options: ReadServerOptions) {
  const kept = new Map(options.files?.map((path) => [path, readFileSync(path)]));
  const seen = { calls: 0, chunks: 0, running: 0, mostAtOnce: 0 };
  const read = async (call: ServerWritableStream<ReadRequest, unknown>): Promise<void> => {
    seen.calls += 1;
    call.on("error", () => undefined);
    if (options.hang === true) return;
    seen.running += 1;
    seen.mostAtOnce = Math.max(seen.mostAtOnce, seen.running);
    const { count = 0, everyMs = 0 } = options.notices ?? {};
    for (let i = 0; i < count; i += 1) {
      call.write({ data: new Uint8Array(), crc32: 0 });
      await sleep(systemClock, everyMs);
    }
    seen.running -= 1;
    const { file, offset, length, chunkBytes: asked } = call.request;
    const chunkBytes = asked || 256 << 10;
    const whole = kept.get(file?.path ?? "") ?? readFileSync(file?.path ?? "");
    const range = whole.subarray(Number(offset), Number(offset + length));
    for (let at = 0, sent = 0; at < range.length; at += chunkBytes, sent += 1) {
      if (sent === options.endAfterChunks) {
        call.emit("error", toStatus(new Error("Gone on purpose")));
        return;
      }
      const data = range.subarray(at, at + chunkBytes);
      seen.chunks += 1;
      call.write({ data, crc32: options.wrongSums === true ? crc32(data) ^ 1 : crc32(data) });
    }
    call.end();
  };
  const server = new Server(serverOptions);
  server.addService(serviceDefinition(AgentService), { read });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return {
    address: `127.0.0.1:${port}`,
    get calls() {
      return seen.calls;
    },
    get chunks() {
      return seen.chunks;
    },
    /** Calls that were waiting at the same time, at most. */
    get mostAtOnce() {
      return seen.mostAtOnce;
    },
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}
