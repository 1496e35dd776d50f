import { parentPort, workerData } from "node:worker_threads";
import { AmalgamError } from "../shared/errors.js";
import type { Kernel } from "./compute/wasm/kernel.js";
import { TileMemory } from "./compute/wasm/memory.js";
import { executeUnit, type UnitContext } from "./execute.js";
import { type ArenaState, createArena } from "./files/arena.js";
import { IoLimit } from "./io-limit.js";
import { type Confinement, createConfinement } from "./roots.js";
import {
  controlCells,
  type FactorizeMessage,
  maxChunksInFlight,
  type RunMessage,
  type WorkerMessage,
  type WorkerSettings,
} from "./worker-protocol.js";

// A worker thread: takes one unit at a time and runs it without ever yielding. It is told to stop, and told that the
// network has caught up, through shared cells.

const settings = workerData as WorkerSettings;
const cells = new Int32Array(settings.control);
const port = parentPort;
if (port === null) throw new Error("worker.js runs as a worker thread");

const confinement = createConfinement(settings.roots);
let withScratch: { readonly scratch: string; readonly confinement: Confinement } | undefined;
const memory = new TileMemory(settings.memoryBytes);
const kernels = new Map<string, Kernel>();
const ioLimit = settings.ioLimit && new IoLimit(settings.ioLimit);
let arena: ArenaState | undefined;

port.on("message", (message: RunMessage | FactorizeMessage) => {
  const { task } = message;
  const assertWanted = (): void => {
    if (Atomics.load(cells, controlCells.cancel) === task) throw new AmalgamError("canceled", "Canceled");
  };
  const context: UnitContext = {
    memory,
    kernels,
    confinement: message.type === "run" ? confinementOf(message) : confinement,
    ioLimit,
    arena: openArena,
    fetch: (message) => port.postMessage(message satisfies WorkerMessage),
    assertWanted,
    emit(message) {
      if (message.type !== "chunk") return port.postMessage(message satisfies WorkerMessage);
      waitForRoom(assertWanted);
      Atomics.add(cells, controlCells.chunksInFlight, 1);
      port.postMessage(message, [message.data.buffer]);
    },
  };
  void carryOut(message, context);
});

async function carryOut(message: RunMessage | FactorizeMessage, context: UnitContext): Promise<void> {
  let answer: WorkerMessage = { type: "done" };
  try {
    if (message.type === "run") executeUnit(message.request, context);
    else {
      // With a library for matrices that merges do without: every worker would load it.
      const { executeFactorize } = await import("./factorize/execute.js");
      executeFactorize(message.request, context);
    }
  } catch (error) {
    const { code, message, details } = AmalgamError.from(error);
    answer = { type: "failed", code, message, details };
  }
  port?.postMessage(answer);
}

/** The agent's own units may use its scratch folder, whoever asks for others may not. */
function confinementOf({ scratch }: RunMessage): Confinement {
  if (scratch === undefined) return confinement;
  if (withScratch?.scratch !== scratch) {
    withScratch = { scratch, confinement: createConfinement([...settings.roots, scratch]) };
  }
  return withScratch.confinement;
}

function openArena(): ArenaState {
  if (arena === undefined) {
    arena = createArena(settings.memoryBytes);
    port?.postMessage({ type: "arena", arena } satisfies WorkerMessage);
  }
  return arena;
}

/** Sleeps while the network is behind. Wakes now and then to see whether the unit is still wanted. */
function waitForRoom(assertWanted: () => void): void {
  for (;;) {
    assertWanted();
    const inFlight = Atomics.load(cells, controlCells.chunksInFlight);
    if (inFlight < maxChunksInFlight) return;
    Atomics.wait(cells, controlCells.chunksInFlight, inFlight, 100);
  }
}
