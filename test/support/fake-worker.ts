import { closeSync, existsSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { crc32 } from "node:zlib";
import {
  controlCells,
  maxChunksInFlight,
  type RunMessage,
  type WorkerMessage,
  type WorkerSettings,
} from "../../node-agent/worker-protocol.js";
import { type DtypeName, pieceBytes, type Script } from "./fake-script.js";

// Speaks the worker protocol and computes nothing: output bytes follow from the tensor's name and the place. What it
// does otherwise is said in "script.json" in its first root.

const settings = workerData as WorkerSettings;
const cells = new Int32Array(settings.control);
const port = parentPort;
if (port === null) throw new Error("fake-worker.js runs as a worker thread");

port.on("message", ({ task, request }: RunMessage) => {
  const script = readScript();
  const applies = script.unit === undefined || script.unit === request.unit;
  const isCanceled = (): boolean => Atomics.load(cells, controlCells.cancel) === task;
  const send = (message: WorkerMessage): void => port.postMessage(message);
  const sleep = (ms: number): void => {
    const until = Date.now() + ms;
    while (Date.now() < until && !isCanceled()) Atomics.wait(cells, controlCells.cancel, -1, Math.min(50, ms));
  };
  try {
    if (applies && script.fault === "crash") process.exit(7);
    if (applies && script.fault === "out of memory") {
      const hoard: number[][] = [];
      for (;;) hoard.push(new Array<number>(1_000_000).fill(hoard.length));
    }
    if (applies && script.fault === "throw") throw new Error("thrown on purpose");
    if (applies && script.fault === "deaf") for (;;) Atomics.wait(cells, controlCells.chunksInFlight, -1);
    if (applies && script.fault === "stuck") {
      send({ type: "progress", bytesRead: 0, ioSeconds: 0, bytesWritten: 0 });
      openSync(join(settings.roots[0] ?? "", "fifo"), "r");
    }
    if (applies && script.fault === "hang") while (!isCanceled()) sleep(1_000);
    if (applies && script.fault === "fail") {
      const { code = "io_failed" } = script;
      return send({
        type: "failed",
        code,
        message: `Cannot read "${request.pieces[0]?.tensor}": on purpose`,
        details: {},
      });
    }
    for (const [index, piece] of request.pieces.entries()) {
      const { tensor } = piece;
      const bytes = pieceBytes(tensor, Number(piece.begin), Number(piece.end), piece.outputDtype as DtypeName);
      if (applies && script.sleepMs !== undefined) sleep(script.sleepMs);
      if (isCanceled()) return send({ type: "failed", code: "canceled", message: "Canceled", details: {} });
      send({ type: "progress", bytesRead: bytes.length, ioSeconds: 0, bytesWritten: bytes.length });
      if (request.task.case === "streamChunks") {
        const size = request.task.value.chunkBytes;
        for (let at = 0; at < bytes.length; at += size) {
          const data = bytes.slice(at, at + size);
          while (Atomics.load(cells, controlCells.chunksInFlight) >= maxChunksInFlight) {
            if (isCanceled()) return send({ type: "failed", code: "canceled", message: "Canceled", details: {} });
            Atomics.wait(cells, controlCells.chunksInFlight, maxChunksInFlight, 1_000);
          }
          Atomics.add(cells, controlCells.chunksInFlight, 1);
          const chunk: WorkerMessage = { type: "chunk", piece: index, offset: at, data, crc32: crc32(data) };
          port.postMessage(chunk, [data.buffer]);
        }
      } else if (request.task.case === "writeFiles") {
        const file = openSync(request.task.value.paths[piece.outputFile] ?? "", "r+");
        writeSync(file, bytes, 0, bytes.length, Number(piece.outputOffset));
        closeSync(file);
      }
      const inputsNonFinite = piece.inputs.map(() => 0n);
      send({
        type: "receipt",
        receipt: { piece: index, bytes: BigInt(bytes.length), crc32: crc32(bytes), inputsNonFinite },
      });
    }
    send({ type: "done" });
  } catch (error) {
    if (script.fault === "throw") throw error;
    send({ type: "failed", code: "internal", message: String(error), details: {} });
  }
});

function readScript(): Script {
  const path = join(settings.roots[0] ?? "", "script.json");
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Script) : {};
}
