import type { TileMemory } from "./memory.js";

type Run = (...parameters: number[]) => void;

const compiled = new WeakMap<TileMemory, Map<string, Run>>();

/** The function of a hand-written module over a worker's memory, compiled when it is first asked for by this name. */
export function wasmFunction(
  memory: TileMemory,
  name: string,
  encode: (maximumPages: number) => Uint8Array<ArrayBuffer>,
): Run {
  let functions = compiled.get(memory);
  if (functions === undefined) {
    functions = new Map();
    compiled.set(memory, functions);
  }
  let run = functions.get(name);
  if (run === undefined) {
    const module = new WebAssembly.Module(encode(memory.maximumPages));
    run = new WebAssembly.Instance(module, { env: { memory: memory.memory } }).exports["run"] as Run;
    functions.set(name, run);
  }
  return run;
}
