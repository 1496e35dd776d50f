import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { parseAddress } from "../../shared/rpc/channel.js";

// Clients that mean harm, made of sockets and frames: a library would not send what they send.

export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
export const frames = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  windowUpdate: 8,
  continuation: 9,
} as const;
export const flags = { ack: 1, endStream: 1, endHeaders: 4 } as const;

/** One HTTP/2 frame (RFC 9113, section 4.1). */
export function frame(type: number, flag: number, stream: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flag;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export const emptySettings = frame(frames.settings, 0, 0);

/** Headers of a call, as literals that no table remembers (RFC 7541, section 6.2.2). */
export function callHeaders(path: string): Buffer {
  const fields = {
    ...{ ":method": "POST", ":scheme": "http", ":path": path, ":authority": "agent" },
    ...{ "content-type": "application/grpc", te: "trailers" },
  };
  const text = (value: string): Buffer => Buffer.concat([Uint8Array.of(value.length), Buffer.from(value)]);
  return Buffer.concat(
    Object.entries(fields).map(([name, value]) => Buffer.concat([Uint8Array.of(0), text(name), text(value)])),
  );
}

/** A message as gRPC frames it; `told` is the length that it claims. */
export function grpcMessage(bytes: Uint8Array, told = bytes.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(told, 1);
  return Buffer.concat([head, bytes]);
}

/** A connection that says what it is told to, and reads all it hears without a word. */
export async function openSocket(address: string): Promise<Socket> {
  const { host, port } = parseAddress(address);
  const socket = connect({ host, port });
  await new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  // It will be hung up on, in the middle of whatever it says.
  socket.on("error", () => undefined);
  socket.resume();
  return socket;
}

/** Resolves when the other side has closed it. */
export function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed || socket.destroyed) resolve();
    else socket.once("close", () => resolve());
  });
}

/** A session that acknowledges everything, for calls with wrong contents. */
export function openSession(address: string): ClientHttp2Session {
  const session = connectHttp2(`http://${address}`);
  session.on("error", () => undefined);
  return session;
}

export interface RawAnswer {
  /** Of HTTP; 0 when there was none. */
  readonly http: number;
  /** Of gRPC; undefined when it said none. */
  readonly grpc: number | undefined;
  readonly details: string;
  /** Why the stream was reset; 0 when it was not. */
  readonly reset: number;
}

/** One call with these bytes for a body, and then no end where `isOpen`. */
export function rawCall(
  session: ClientHttp2Session,
  path: string,
  body: Uint8Array,
  options: { readonly isOpen?: boolean; readonly contentType?: string } = {},
): Promise<RawAnswer> {
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: "POST",
    [constants.HTTP2_HEADER_PATH]: path,
    [constants.HTTP2_HEADER_CONTENT_TYPE]: options.contentType ?? "application/grpc",
    te: "trailers",
  });
  const heard: Record<string, unknown> = {};
  stream.on("response", (headers) => Object.assign(heard, headers));
  stream.on("trailers", (headers) => Object.assign(heard, headers));
  stream.on("error", () => undefined);
  stream.resume();
  stream.write(body);
  if (options.isOpen !== true) stream.end();
  return new Promise((resolve) => {
    stream.once("close", () => {
      const grpc = heard["grpc-status"];
      resolve({
        http: Number(heard[":status"] ?? 0),
        grpc: grpc === undefined ? undefined : Number(grpc),
        details: String(heard["grpc-message"] ?? ""),
        reset: stream.rstCode ?? 0,
      });
    });
  });
}

/** The most memory that a process has held at once, in bytes. */
export function peakBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return 1_024 * Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]);
}

/** Sockets that a process holds open. */
export function socketsOf(pid: number): number {
  const listed = execFileSync("sh", ["-c", `ls -l /proc/${pid}/fd | grep -c socket: || true`]);
  return Number(listed.toString());
}
