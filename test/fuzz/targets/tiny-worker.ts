import { mkdtempSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TileMemory } from "../../../node-agent/compute/wasm/memory.js";
import { executeUnit } from "../../../node-agent/execute.js";
import { type Confinement, createConfinement } from "../../../node-agent/roots.js";
import { AmalgamError } from "../../../shared/errors.js";
import type { MergeRequest } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { sourceFile } from "./request-seeds.js";

// A worker's work in this very thread, on one file of zeros.

const maxElements = 4_096;
const maxNodes = 256;

const folder = mkdtempSync(join(tmpdir(), "amalgam-fuzz-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, "model.safetensors");
writeFileSync(file, "");
truncateSync(file, Number(sourceFile.bytes));
utimesSync(file, sourceFile.modifiedMs / 1_000, sourceFile.modifiedMs / 1_000);

const real = createConfinement([folder]);

/** The real thing, for a root that is called "/model" here: requests are the same wherever the folder is. */
export const confined: Confinement = {
  ...real,
  readable: (path) => real.readable(placed(path)),
  writable: (path) => real.writable(placed(path)),
};

/** Where a path of a request is here. */
export function placed(path: string): string {
  return path.replace(/^\/model(?=\/|$)/, folder);
}

const memory = new TileMemory(16 << 20);

/** Runs a request that has been accepted, if it is small and writes nothing. Whatever is accepted must run. */
export function executeSmall(request: MergeRequest): void {
  const elements = request.pieces.reduce((total, { begin, end }) => total + Number(end - begin), 0);
  const nodes = request.programs.reduce((total, program) => total + program.nodes.length, 0);
  if (elements > maxElements || nodes > maxNodes || request.task.case === "writeFiles") return;
  executeUnit(request, {
    memory,
    kernels: new Map(),
    confinement: confined,
    ioLimit: undefined,
    arena: () => {
      throw new AmalgamError("agent_lost", "Nobody is asked for what is not here");
    },
    fetch: () => undefined,
    emit: () => undefined,
    assertWanted: () => undefined,
  });
}
