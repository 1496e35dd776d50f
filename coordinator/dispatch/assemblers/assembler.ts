import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { parentPort, workerData } from "node:worker_threads";
import { fromBinary } from "@bufbuild/protobuf";
import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import { AmalgamError } from "../../../shared/errors.js";
import type { Schedule } from "../../../shared/expression/passes.js";
import { AgentService, MergeRequestSchema } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { createClient } from "../../../shared/rpc/client.js";
import type { Security } from "../../../shared/rpc/security.js";
import { openOwn, writeError, writeFully } from "../../assemble/durable.js";
import type { AgentClient } from "../agents.js";
import { runAttempt, type UnitResult } from "../attempt.js";
import type { AssemblerData, AssemblerTask, FromAssembler, ToAssembler } from "./protocol.js";

// An assembling thread: it pulls units from agents over connections of its own, checks every byte and writes it in its
// place.

const { files, security: sent } = workerData as AssemblerData;
const security = sent && withBuffers(sent);
const clients = new Map<string, AgentClient>();
const handles = new Map<number, Promise<FileHandle>>();
const running = new Map<number, AbortController>();

/** Only statistics passes have one, and those do not come here. */
const noSchedule: Schedule = {
  statistics: [],
  slots: 0,
  rowwise: false,
  columnwise: false,
  modelwide: false,
  prepared: [],
};

async function run(task: AssemblerTask): Promise<UnitResult> {
  const { id, agent, unit, epoch, chunkBytes, traceparent } = task;
  const controller = new AbortController();
  running.set(id, controller);
  try {
    const request = {
      unit,
      epoch,
      task: { kind: "stream", chunkBytes } as const,
      message: fromBinary(MergeRequestSchema, task.message),
      pieces: task.pieces.map((piece) => ({ ...piece, schedule: noSchedule })),
    };
    return await runAttempt({ ...agent, client: clientOf(agent) }, request, {
      sink: { write },
      signal: controller.signal,
      traceparent,
      onProgress: (bytesRead, bytesWritten) => send({ type: "progress", id, bytesRead, bytesWritten }),
    });
  } finally {
    running.delete(id);
  }
}

/** Another agent may come to an address, and its certificate has its own name. */
function clientOf({ address, certifiedName: name }: AssemblerTask["agent"]): AgentClient {
  const key = JSON.stringify([address, name]);
  let client = clients.get(key);
  if (client === undefined) {
    client = createClient(AgentService, address, security, { name });
    clients.set(key, client);
  }
  return client;
}

/** What was a Buffer in another thread arrives as plain bytes. */
function withBuffers(security: Security): Security {
  if (security.kind === "loopback") return security;
  const { ca, certificate, key } = security;
  return { ...security, ca: Buffer.from(ca), certificate: Buffer.from(certificate), key: Buffer.from(key) };
}

async function write(file: number, offset: number, data: Uint8Array): Promise<void> {
  const place = files[file];
  if (place === undefined || !(offset >= place.begin && offset + data.length <= place.end)) {
    throw new RangeError(`Cannot write bytes [${offset}, ${offset + data.length}) of file ${file}: not its data`);
  }
  try {
    let handle = handles.get(file);
    if (handle === undefined) {
      handle = openOwn(place.path, constants.O_WRONLY);
      handles.set(file, handle);
      // The next chunk opens it anew: the failure may pass.
      handle.catch(() => handles.delete(file));
    }
    await writeFully(await handle, data, offset);
  } catch (error) {
    throw writeError(error, "write", place.path);
  }
}

/**
 * Through the handles that wrote: a network file system may tell of a failed write to those only. All are tried, since a
 * disk tells of a failure once.
 */
async function sync(id: number): Promise<void> {
  const failures = new Map<number, unknown>();
  for (const [file, handle] of handles) {
    try {
      await (await handle).sync();
    } catch (error) {
      failures.set(file, writeError(error, "sync", files[file]?.path ?? ""));
    }
  }
  const [first] = failures.values();
  if (failures.size === 0) send({ type: "done", id, result: undefined });
  else send({ type: "failed", id, error: AmalgamError.from(first).plain, unsynced: [...failures.keys()] });
}

function send(message: FromAssembler): void {
  parentPort?.postMessage(message);
}

function answer(id: number, work: Promise<UnitResult>): void {
  work.then(
    (result) => send({ type: "done", id, result }),
    (reason: unknown) => send({ type: "failed", id, error: AmalgamError.from(reason).plain }),
  );
}

setLogVerbosity(logVerbosity.NONE);
parentPort?.on("message", (message: ToAssembler) => {
  switch (message.type) {
    case "run":
      answer(message.task.id, run(message.task));
      return;
    case "cancel": {
      running.get(message.id)?.abort(AmalgamError.fromPlain(message.reason));
      return;
    }
    case "sync":
      void sync(message.id);
  }
});
